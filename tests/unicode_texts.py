"""Texts to test the rule `unicode-14`: words, unusual characters, broken bytes, and lines of many languages."""
# ruff: noqa: RUF001  # characters that look like others are what is tested

from __future__ import annotations

import numpy as np

WORDS = (
    "a", "zz", "br", "it's", "café", "abc", "abcdef", "abcdefg", "wonderfully", "9", "'", "straße", "привет", "σοφος",
    "世", "ข้", "กำ", "หนึ่ง", "한국", "☃", "😀", "ﷺ", "1", "ь",
)  # fmt: skip
CHARACTERS = (
    "A", "ZZ", "CAFÉ", "it’s", "it`s", "ПРИВЕТ", "ΣΟΦΟΣ", "ΣΟΦΟς", "ſtraße", "wonder\xadfully", "a\u200db",
    "a\u200bb", "e\u0301", "Ａ", "ｱ", "１", "٣", "\u212a", "世界", "界", "้", "ั", "ำ", "☃\ufe0f", "😀\U0001f3fd",
    "😀😀", "!", "?", "？", "؟", "‽", "\xa0", "\u0600", "\ufeff", "\u0085", "\x92", "م\u064eر\u0640حبا", "שָׁלוֹם",
    "İ", "ı", "½", "…", "—", "\U000323af", "\U00032400", "\U0010ffff", "\uffff", "<br />", "<br />br<br />", "<br",
    " />", "<BR />", " ", "\0", ".", "s", "\x01", "\x02",
)  # fmt: skip
PIECES = tuple(piece.encode() for piece in (*WORDS, *CHARACTERS))
# Bytes that are no UTF-8: single ones, sequences that are cut, too long, above the last character, and surrogates.
BROKEN = (
    b"\xff", b"\x92", b"\x80", b"\xe9", b"\xc3", b"\xe4\xb8", b"\xf0\x9f\x98", b"\xc0\xa7", b"\xc1\xbf",
    b"\xe0\x80\xa7", b"\xe0\x9f\xbf", b"\xf0\x80\x80\xa7", b"\xf0\x8f\xbf\xbf", b"\xf4\x90\x80\x80",
    b"\xf5\x80\x80\x80", b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xe4<br />", b"\xc3<br />", b"\xf0\x9f<br />",
    b"\xa9", b"\xb8\x96",
)  # fmt: skip
LINES = (
    """
Don’t miss it — it’s GREAT!
Le château était fermé, l’œuvre n’est pas finie…
Die Straße war „groß“, ÄRGERLICH!
¿Qué tal? ¡Muy bueno!
Ελλάς: ο κόσμος ΕΙΝΑΙ ΩΡΑΙΟΣ;
Очень ПЛОХО, ёлки‑палки…
Дуже смачно, п’ять зірок
İstanbul’da ıslak ve GÜZEL
هٰذَا الكِتَابُ جَمِـــيلٌ جِدًّا؟
הַסֵּפֶר טוֹב מְאֹד
यह किताब बहुत अच्छी है।
বইটি খুব ভালো।
இந்தப் புத்தகம் நன்று
หนังสือเล่มนี้ดีมาก
ປຶ້ມນີ້ດີຫຼາຍ
ဒီစာအုပ်က ကောင်းတယ်
សៀវភៅនេះល្អណាស់
这本书很好看，Ｇｏｏｄ！
この本はとてもｵﾓｼﾛｲ。ガガ
이 책은 정말 좋다!
Cuốn sách này rất hay, Tiếng Việt
ეს წიგნი კარგია, ՀԱՅԵՐԵՆ լավ
Good 👍🏽👍 ☃️ 👨‍👩‍👧 ❤️!!! 10 km² ½ №5 ™
""".strip()
    .encode()
    .splitlines()
)


def draw_texts(rng: np.random.Generator, count: int, most: int) -> list[bytes]:
    """Draws texts of words, unusual characters, bytes that are no UTF-8, and any characters and bytes."""
    texts = []
    for _ in range(count):
        parts = []
        for kind in rng.integers(0, 8, rng.integers(most)):
            if kind < 4:
                parts.append(PIECES[rng.integers(len(PIECES))])
            elif kind < 6:
                parts.append(BROKEN[rng.integers(len(BROKEN))])
            elif kind == 6:
                parts.append(
                    chr(rng.integers((0x80, 0x800, 0x10000, 0x110000)[rng.integers(4)])).encode(errors="replace")
                )
            else:
                parts.append(rng.integers(0, 256, 3, np.uint8).tobytes())
            parts.append(b" "[: rng.integers(2)])
        texts.append(b"".join(parts))
    return texts
