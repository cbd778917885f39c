"""Tokens are estimated by script: close to those of a real tokenizer, for every text that people have."""

from __future__ import annotations

import base64
import random

import pytest

from local.emulator.tokens import count
from shared.documents.token_estimate import MOST_BYTES_PER_TOKEN, estimate

DICE = random.Random(1)
TEXTS = {
    "English": "The supplier shall deliver the goods within thirty days after the order was confirmed. ",
    "German": "Dieser Vertrag tritt mit Unterzeichnung durch beide Vertragsparteien in Kraft. ",
    "French": "Le présent contrat entre en vigueur dès sa signature par les deux parties. ",
    "Polish": "Niniejsza umowa wchodzi w życie z dniem podpisania przez obie strony. ",
    "Turkish": "Bu sözleşme her iki tarafça imzalandığı tarihte yürürlüğe girer. ",
    "Vietnamese": "Hợp đồng này có hiệu lực kể từ ngày ký bởi cả hai bên. ",
    "Greek": "Η παρούσα σύμβαση τίθεται σε ισχύ από την υπογραφή της. ",
    "Russian": "Настоящий договор вступает в силу с момента его подписания обеими сторонами. ",
    "Armenian": "Այս պայմանագիրը կնքվել է երկու կողմերի միջև։ ",
    "Hebrew": "הסכם זה ייכנס לתוקף במועד חתימתו על ידי שני הצדדים. ",
    "Arabic": "يبرم هذا العقد بين الطرفين ويدخل حيز التنفيذ من تاريخ التوقيع عليه. ",
    "Hindi": "यह अनुबंध हस्ताक्षर की तिथि से प्रभावी होगा। ",
    "Thai": "สัญญาฉบับนี้มีผลบังคับใช้นับตั้งแต่วันที่ลงนาม ",
    "Georgian": "ეს ხელშეკრულება ძალაში შედის ხელმოწერის დღიდან. ",
    "Chinese": "双方应当在签署之日起三十日内完成货物的交付和验收工作。",
    "Japanese": "本契約は、甲と乙との間において、次のとおり締結された。",
    "Korean": "본 계약은 갑과 을 사이에 다음과 같이 체결되었다. ",
    "capitals": "THIS AGREEMENT ENTERS INTO FORCE UPON SIGNATURE BY BOTH PARTIES. ",
    "JSON": '{"id": 1234, "name": "Item", "price": 12.50, "tags": ["a", "b"], "ok": true}\n',
    "HTML": '<div class="row"><span id="x1">Total</span><td style="width:10px">1,200.00</td></div>\n',
    "hex": "".join(DICE.choice("0123456789abcdef") for _ in range(800)),
    "base64": base64.b64encode(DICE.randbytes(600)).decode(),
    "numbers": "".join(f"{DICE.randint(0, 99999)},{DICE.randint(0, 999)}\n" for _ in range(100)),
    "emoji": "😀🎉👍🏽🚀 ",
}


@pytest.mark.parametrize("kind", TEXTS)
def test_an_estimate_is_close_to_the_tokenizer_s_count(kind: str) -> None:
    """Never wrong by more than a half; four bytes a token is wrong by three for hex and for Hindi."""
    text = TEXTS[kind] * 20
    assert 0.65 <= estimate(text) / count(text) <= 1.5


def test_a_long_text_is_estimated_from_samples() -> None:
    """Measured in stretches, so that a book takes milliseconds; its parts differ, and all have a share."""
    text = "".join(TEXTS[kind] * 100 for kind in ("English", "Chinese", "hex", "Russian")) * 3
    assert len(text) > 200_000
    assert 0.75 <= estimate(text) / count(text) <= 1.35


@pytest.mark.parametrize(
    "text", ["", " " * 5000, "\x00" * 100, "\ud800" * 50, "a" * 30_000, "ﷺ" * 500, "\n" * 999]
)
def test_an_estimate_has_a_bound_in_bytes(text: str) -> None:
    """So the size of a file can show that it is too large; halves of surrogate pairs do no harm."""
    assert estimate(text) >= len(text.encode(errors="replace")) / MOST_BYTES_PER_TOKEN
    assert estimate(text) <= 3 * len(text) + 1
