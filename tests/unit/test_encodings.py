"""Texts in old encodings: each is read right or refused, in every language and length."""

from __future__ import annotations

import random
import unicodedata
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.documents.read import read_text
from shared.errors import DocumentRefused

WESTERN = ("cp1252", "iso8859_15", "mac_roman", "cp850", "cp437")
CENTRAL = ("cp1250", "iso8859_2", "cp852", "mac_latin2")
CYRILLIC = ("cp1251", "koi8_r", "cp866", "mac_cyrillic", "iso8859_5")
ENCODINGS = {
    "de": (*WESTERN, "cp1250", "utf_7"),
    "fr": (*WESTERN, "utf_7"),
    "es": (*WESTERN, "utf_7"),
    "pt": ("cp1252", "iso8859_15", "mac_roman", "cp850"),
    "it": WESTERN,
    "sv": WESTERN,
    "da": ("cp1252", "iso8859_15", "mac_roman", "cp850"),
    "is": ("cp1252", "iso8859_15", "cp850"),
    "en": ("cp1252", "mac_roman", "utf_7"),
    "pl": (*CENTRAL, "cp1257", "utf_7"),
    "cs": CENTRAL,
    "hu": CENTRAL,
    "lt": ("cp1257", "iso8859_13", "cp775"),
    "lv": ("cp1257", "iso8859_13", "cp775"),
    "tr": ("cp1254", "iso8859_9", "cp857", "mac_turkish"),
    "vi": ("cp1258",),
    "ru": (*CYRILLIC, "utf_7"),
    "uk": ("cp1251", "koi8_u", "mac_cyrillic"),
    "el": ("cp1253", "iso8859_7", "cp737", "mac_greek"),
    "he": ("cp1255", "iso8859_8", "cp862"),
    "ar": ("cp1256", "iso8859_6"),
    "th": ("cp874", "tis_620"),
    "ja": ("cp932", "euc_jp", "iso2022_jp", "utf_7"),
    "zh": ("gb18030", "gb2312", "hz", "utf_7"),
    "zh_tw": ("big5", "gb18030"),
    "ko": ("cp949", "euc_kr", "iso2022_kr"),
}
UNICODE = ("utf_16_le", "utf_16_be", "utf_16", "utf_32_le", "utf_32_be", "utf_32")
# Sentences, and after the bar names.
TEXTS = {
    "de": "Wir bestätigen den Empfang Ihrer Bestellung.|Die Lieferung verzögert sich um fünf Tage.|"
    "Für Rückfragen stehen wir gern zur Verfügung.|Der Vertrag läuft am 31. März aus.|"
    "Bitte überweisen Sie den Betrag von 1.200 Euro.|Mit freundlichen Grüßen"
    "#Jürgen Groß|Käthe Böhm|Björn Schäfer|Düsseldorf|Klara Weiß|Köln",
    "fr": "Nous avons bien reçu votre réclamation du 3 août.|Le contrat est résilié à compter de mai.|"
    "La livraison prévue à Orléans a été retardée.|Veuillez agréer nos salutations distinguées.|"
    "Le client s'engage à régler les frais dès réception.|Où êtes-vous allés ?"
    "#François Lefèvre|Élise Béranger|Hélène Gärtner|Besançon|Noël Dupré|Nîmes",
    "es": "El envío llegará mañana por la tarde.|¿Cuándo podrán entregar el resto del pedido?|"
    "La garantía cubre los daños de fábrica.|Según el artículo séptimo, el plazo es de diez días.|"
    "Le saluda atentamente, el equipo de atención.#Íñigo Muñoz|María Ibáñez|José Peña|León|Málaga|Cádiz",
    "pt": "A alteração do endereço não foi concluída.|Segue em anexo a declaração de rendimentos.|"
    "São necessários três dias úteis para a análise.|O prazo de resolução termina amanhã.|"
    "Atenciosamente, a direção.#João Magalhães|Conceição Simões|Antônio Guimarães|São Luís|Évora|Brasília",
    "it": "La città è stata raggiunta dal corriere martedì.|Perché il pagamento non è più possibile?|"
    "La qualità sarà verificata entro venerdì.|Così stabilisce il contratto, già firmato.|"
    "Cordiali saluti.#Niccolò Bonà|Cantù|Mondovì|Forlì|Nicolò Rondò|Cefalù",
    "sv": "Vi bekräftar att beställningen är på väg.|Avtalet upphör den sista mars nästa år.|"
    "Kan ni skicka räkningen igen, den är förkommen?|Återbetalningen görs inom trettio dagar.|"
    "Med vänliga hälsningar#Åsa Sjöström|Björn Åkesson|Märta Öberg|Malmö|Västerås|Gävle",
    "da": "Vi har modtaget Deres bestilling på øl og brød.|Aftalen udløber næste år.|"
    "Kan De sende fakturaen igen, den er gået tabt?|Beløbet bliver tilbagebetalt på søndag.|"
    "Med venlig hilsen#Søren Kjær|Jørgen Østergård|Åse Nørgaard|Århus|Tønder|Køge",
    "is": "Við höfum móttekið pöntun yðar.|Samningurinn rennur út í næsta mánuði.|"
    "Það þarf að greiða reikninginn fyrir föstudag.|Afhendingin tefst um fimm daga.|"
    "Með bestu kveðju#Þórður Sæmundsson|Guðrún Ásgeirsdóttir|Sigríður|Akureyri við Eyjafjörð|Ísafjörður",
    "en": "It’s the buyer’s duty to examine the goods.|“Defect” means any deviation – however small.|"
    "The parties don’t agree on the café’s opening hours.|We’ve received your letter of 3 March.|"
    "The price is £100, payable on delivery.#O’Neill & Sons|Zoë Brontë|Renée’s Café|André Smith",
    "pl": "Umowa została zawarta na czas nieokreślony.|Prosimy o przesłanie faktury w ciągu siedmiu dni.|"
    "Płatność nastąpi po otrzymaniu towaru.|Sąd uznał, że roszczenie jest słuszne.|"
    "Z poważaniem, dział obsługi klientów.#Łukasz Wójcik|Małgorzata Dąbrowska|Kraków|Łódź|Gdańsk|Józef Żak",
    "cs": "Smlouva byla uzavřena na dobu určitou.|Zboží bude doručeno příští týden.|"
    "Žádáme vás o úhradu částky do pěti dnů.|Kupující je povinen prohlédnout si zboží.|"
    "S přátelským pozdravem#Jiří Dvořák|Tomáš Černý|Plzeň|Božena Němcová|Zdeněk Šťastný|Hradec Králové",
    "hu": "A szerződés határozott időre jött létre.|Kérjük, küldje el a számlát öt napon belül.|"
    "A megrendelt árut jövő héten szállítjuk.|Köszönjük a türelmét és a megértését.|"
    "Tisztelettel: az ügyfélszolgálat#Győr|Kovács Jenő|Tóth Árpád|Székesfehérvár|Szűcs Gergő|Mezőkövesd",
    "lt": "Jūsų užsakymas išsiųstas šeštadienį.|Sutartis galioja iki kitų metų pabaigos.|"
    "Prašome apmokėti sąskaitą per penkias dienas.|Pirkėjas privalo apžiūrėti prekę.|"
    "Pagarbiai, klientų aptarnavimo skyrius.#Žukauskas|Jonė Šimkutė|Šiauliai|Panevėžys|Mažvydas|Čiurlionis",
    "lv": "Jūsu pasūtījums ir nosūtīts sestdien.|Līgums ir spēkā līdz nākamā gada beigām.|"
    "Lūdzam apmaksāt rēķinu piecu dienu laikā.|Pircējam ir pienākums pārbaudīt preci.|"
    "Ar cieņu, klientu apkalpošanas nodaļa.#Jānis Bērziņš|Rēzekne|Līga Kļaviņa|Jūrmala|Cēsis|Ģirts Žagars",
    "tr": "Sayın müşterimiz, siparişiniz yola çıktı.|Sözleşme gelecek yılın sonuna kadar geçerlidir.|"
    "Lütfen faturayı beş gün içinde ödeyiniz.|Alıcı, malı incelemekle yükümlüdür.|"
    "Saygılarımızla, İstanbul şubesi.#Ayşe Yıldız|İzmir|Gökçe Şahin|Doğan Çelik|Eskişehir|Muğla",
    "vi": "Chúng tôi đã nhận được đơn hàng của anh.|Hợp đồng có hiệu lực đến cuối năm sau.|"
    "Xin vui lòng thanh toán hóa đơn trong năm ngày.|Người mua phải kiểm tra hàng hóa.|"
    "Trân trọng kính chào#Nguyễn Văn Đức|Trần Thị Hạnh|Đà Nẵng|Phạm Thu Thủy|Cần Thơ|Lê Quốc Việt",
    "ru": "Договор заключён на неопределённый срок.|Просим выслать счёт в течение пяти дней.|"
    "Товар будет доставлен на следующей неделе.|Покупатель обязан осмотреть товар.|"
    "С уважением, отдел по работе с клиентами.#Юрий Щукин|Анна Фёдорова|Чита|Эльвира Жукова|Орёл|Яков Цой",
    "uk": "Договір укладено на невизначений строк.|Просимо надіслати рахунок протягом п'яти днів.|"
    "Товар буде доставлено наступного тижня.|Покупець зобов'язаний оглянути товар.|"
    "З повагою, відділ роботи з клієнтами.#Юлія Щербак|Київ|Їжакевич Іван|Чернігів|Євген Ґалаґан|Львів",
    "el": "Η σύμβαση συνάπτεται για αόριστο χρόνο.|Παρακαλούμε να στείλετε το τιμολόγιο σε πέντε ημέρες.|"
    "Το εμπόρευμα θα παραδοθεί την επόμενη εβδομάδα.|Ο αγοραστής οφείλει να εξετάσει το προϊόν.|"
    "Με εκτίμηση#Γιώργος Παπαδόπουλος|Αθήνα|Ελένη Νικολάου|Ηράκλειο|Δημήτρης Κωνσταντίνου|Πάτρα",
    "he": "החוזה נחתם לתקופה בלתי מוגבלת.|נא לשלוח את החשבון תוך חמישה ימים.|"
    "המשלוח יגיע בשבוע הבא.|על הקונה לבדוק את הסחורה.|בברכה, שירות הלקוחות#ירושלים|דוד כהן|חיפה|שרה לוי",
    "ar": "تم إبرام العقد لمدة غير محددة.|يرجى إرسال الفاتورة خلال خمسة أيام.|"
    "سيتم تسليم البضاعة في الأسبوع القادم.|على المشتري فحص البضاعة.|مع خالص التحية#القاهرة|محمد|بغداد|دمشق",
    "th": "สัญญานี้ทำขึ้นโดยไม่มีกำหนดเวลา|กรุณาส่งใบแจ้งหนี้ภายในห้าวัน|สินค้าจะส่งถึงในสัปดาห์หน้า|"
    "ผู้ซื้อต้องตรวจสอบสินค้า|ขอแสดงความนับถือ#กรุงเทพมหานคร|สมชาย ใจดี|เชียงใหม่|สุดา แสงทอง",
    "ja": "契約は期間を定めずに締結されました。|請求書を五日以内にお送りください。|商品は来週お届けします。|"
    "買主は商品を検査する義務があります。|よろしくお願いいたします。#東京都千代田区|山田太郎|鈴木花子|大阪|カトウ商店|佐藤一郎",
    "zh": "本合同为无固定期限合同。|请在五天之内寄来发票。|货物将于下周送到。|买方有义务检查货物。|"
    "此致敬礼,客户服务部。#北京市朝阳区|王小明|李芳|上海|张伟|陈建国",
    "zh_tw": "本合約為無固定期限的合約。|請在五天之內寄來發票。|貨物將於下週送到。|買方有義務檢查貨物。|"
    "敬祝商祺,客戶服務部。#臺北市信義區|王小明|林美玲|高雄|張偉|陳建國",
    "ko": "이 계약은 기간을 정하지 않고 체결되었습니다.|닷새 안에 청구서를 보내 주십시오.|"
    "상품은 다음 주에 배송됩니다.|구매자는 상품을 검사하여야 합니다.#서울특별시|김철수|부산|박민수",
}
FILLING = ("invoice", "Berlin", "paid", "open", "USD", "net 30", "ORDER", "Madrid", "total", "N/A")


def written(language: str, dice: random.Random) -> Iterator[tuple[str, str]]:
    """Texts of every length: kind and text."""
    sentences, names = (part.split("|") for part in TEXTS[language].split("#"))
    yield "a name", dice.choice(names)
    yield "a list of names", "".join(f"{name}\n" for name in dice.sample(names, 4))
    rows = [[str(row), dice.choice(FILLING), dice.choice(FILLING), f"{row * 7}.00"] for row in range(60)]
    for row in dice.sample(rows, 3):
        row[1] = dice.choice(names)
    yield "a table with few of its letters", "\n".join(map(";".join, rows)) + "\n"
    yield "a line", dice.choice(sentences)
    yield "a letter", "\r\n".join(dice.sample(sentences, len(sentences)))
    page = [dice.choice(sentences + names) for _ in range(50)]
    yield "a page", "\n".join(page) + "\n"


def many_pages(language: str, dice: random.Random) -> str:
    """So many that a part of them has to tell the encoding."""
    sentences, _ = (part.split("|") for part in TEXTS[language].split("#"))
    return " ".join(dice.choice(sentences) for _ in range(2500)) + "\n"


def encoded(text: str, encoding: str) -> bytes | None:
    """None where the encoding lacks a character, or the text does not need it."""
    if encoding == "cp1258":
        text = "".join(_as_vietnamese_is_typed(letter) for letter in text)
    try:
        data = text.encode(encoding)
    except UnicodeEncodeError:
        return None
    return None if text.isascii() and not encoding.startswith("utf") else data


def _as_vietnamese_is_typed(letter: str) -> str:
    """Windows-1258 has accents of their own behind the vowels."""
    try:
        letter.encode("cp1258")
    except UnicodeEncodeError:
        base, *marks = unicodedata.normalize("NFD", letter)
        tones = [mark for mark in marks if mark in "\u0300\u0301\u0303\u0309\u0323"]
        shape = unicodedata.normalize("NFC", base + "".join(mark for mark in marks if mark not in tones))
        return shape + "".join(tones)
    return letter


@pytest.mark.parametrize("language", ENCODINGS)
def test_every_text_is_read_right_or_refused(language: str) -> None:
    """A garbled text would be paid for. A page is read, and so is most of what is shorter."""
    dice, outcomes, garbled = random.Random(11), Counter[tuple[str, bool]](), []
    for encoding in ENCODINGS[language]:
        texts = [*written(language, dice)]
        if encoding == ENCODINGS[language][0]:
            texts.append(("many pages", many_pages(language, dice)))
        for kind, text in texts:
            if (data := encoded(text, encoding)) is None:
                continue
            try:
                found = read_text(data)
            except DocumentRefused as refusal:
                assert "save it again as UTF-8" in str(refusal)
                outcomes[kind, False] += 1
                continue
            outcomes[kind, True] += 1
            if unicodedata.normalize("NFC", found) != text:
                garbled.append((encoding, kind, found[:60]))
    assert garbled == []
    assert not outcomes["a page", False] and not outcomes["many pages", False]


@given(st.sampled_from([*ENCODINGS]), st.sampled_from(UNICODE), st.integers(min_value=0))
def test_utf_16_and_utf_32_are_read_without_a_byte_order_mark(
    language: str, encoding: str, seed: int
) -> None:
    """In either byte order. A few names may be too short: they are refused; a single one is not detected."""
    for kind, text in [*written(language, random.Random(seed))][1:]:
        try:
            assert read_text(text.encode(encoding)) == text
        except DocumentRefused:
            assert kind == "a list of names"
