"""List the words of RTF that decide what is text, by Microsoft's RTF specification 1.9.1."""

from __future__ import annotations

STORIES = {
    **dict.fromkeys(("footnote", "annotation", "shptxt", "dptxbxtext"), False),
    **{kind + place: True for kind in ("header", "footer") for place in ("", "l", "r", "f")},
}
"""What stands apart from the text, and whether each section repeats it."""

_WITHOUT_TEXT = """
    aftncn aftnsep aftnsepc atnauthor atndate atnicn atnid atnparent atnref atntime atrfend atrfstart
    author background bkmkend bkmkstart blipuid buptim colorschememapping colortbl comment company
    creatim datafield datastore doccomm docvar ebcend ebcstart factoidname fchars ffdeftext ffentrymcr
    ffexitmcr ffformat ffhelptext ffl ffname ffstattext file filetbl fldinst fldtype fontemb fontfile
    formfield ftncn ftnsep ftnsepc g generator gridtbl hl hlinkbase htmltag info keycode keywords
    latentstyles lchars levelnumbers leveltext lfolevel linkval list listlevel listname listoverride
    listoverridetable listpicture liststylename listtable lsdlockedexcept maccPr mailmerge manager mbarPr
    mborderBoxPr mboxPr mctrlPr mdPr meqArrPr mfPr mfuncPr mgroupChrPr mhtmltag mlimlowPr mlimuppPr
    mmathPict mmathPr mmcPr mmcs mmPr mnaryPr moMathParaPr mphantPr mradPr mrPr msPrePr msSubPr
    msSubSupPr msSupPr nextfile nonesttables nonshppict objalias objclass objdata objname objsect objtime
    oldcprops oldpprops oldsprops oldtprops oleclsid operator panose password passwordhash pgp pgptbl
    picprop pict pn pnseclvl pntxta pntxtb printim private propname protend protstart protusertbl pxe
    revtbl revtim rsidtbl rxe shppict shprslt sn sp staticval stylesheet subject sv svb tc template
    themedata title txe ud upr userprops wgrffmtfilter windowcaption writereservation writereservhash xe
    xform xmlattrname xmlattrvalue xmlnstbl
"""
SKIPPED = frozenset(_WITHOUT_TEXT.split())
"""Groups that hold no text of the document."""

KEPT = frozenset(("shpinst", "do", "nesttableprops", "moMath", "moMathPara"))
"""Groups that hold text although they are marked as optional; so do those of STORIES."""

CHARACTERS = {
    "line": "\n",
    "lbr": "\n",
    "softline": "\n",
    "tab": "\t",
    "nestcell": " ",
    "nestrow": "\n",
    "emdash": "\u2014",
    "endash": "\u2013",
    "emspace": "\u2003",
    "enspace": "\u2002",
    "qmspace": "\u2005",
    "bullet": "\u2022",
    "lquote": "\u2018",
    "rquote": "\u2019",
    "ldblquote": "\u201c",
    "rdblquote": "\u201d",
    "zwj": "\u200d",
    "zwnj": "\u200c",
    "ltrmark": "\u200e",
    "rtlmark": "\u200f",
}
SYMBOLS = {b"~": "\xa0", b"_": "\u2011", b"\t": "\t"}

CODECS = {"mac": "mac_roman", "pc": "cp437", "pca": "cp850"}
"""The encodings of whole files; that of Windows has a number (ansicpg)."""

CHARSETS = {
    0: "cp1252",
    77: "mac_roman",
    78: "cp932",
    79: "cp949",
    80: "gb18030",
    81: "cp950",
    83: "mac_greek",
    85: "mac_turkish",
    88: "mac_latin2",
    89: "mac_cyrillic",
    128: "cp932",
    129: "cp949",
    130: "johab",
    134: "gb18030",
    136: "cp950",
    161: "cp1253",
    162: "cp1254",
    163: "cp1258",
    177: "cp1255",
    178: "cp1256",
    186: "cp1257",
    204: "cp1251",
    222: "cp874",
    238: "cp1250",
    254: "cp437",
    255: "cp850",
}
"""The encodings of fonts."""
