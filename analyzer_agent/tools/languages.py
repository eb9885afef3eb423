"""Whisper's languages: codes, English names, and how people write them."""

from collections.abc import Mapping

from analyzer_agent.errors import similar

_NAMES = """
af afrikaans, am amharic, ar arabic, as assamese, az azerbaijani, ba bashkir, be belarusian, bg bulgarian, bn bengali, bo tibetan,
br breton, bs bosnian, ca catalan, cs czech, cy welsh, da danish, de german, el greek, en english, es spanish, et estonian, eu basque,
fa persian, fi finnish, fo faroese, fr french, gl galician, gu gujarati, ha hausa, haw hawaiian, he hebrew, hi hindi, hr croatian,
ht haitian creole, hu hungarian, hy armenian, id indonesian, is icelandic, it italian, ja japanese, jw javanese, ka georgian, kk kazakh,
km khmer, kn kannada, ko korean, la latin, lb luxembourgish, ln lingala, lo lao, lt lithuanian, lv latvian, mg malagasy, mi maori,
mk macedonian, ml malayalam, mn mongolian, mr marathi, ms malay, mt maltese, my myanmar, ne nepali, nl dutch, nn nynorsk, no norwegian,
oc occitan, pa punjabi, pl polish, ps pashto, pt portuguese, ro romanian, ru russian, sa sanskrit, sd sindhi, si sinhala, sk slovak,
sl slovenian, sn shona, so somali, sq albanian, sr serbian, su sundanese, sv swedish, sw swahili, ta tamil, te telugu, tg tajik, th thai,
tk turkmen, tl tagalog, tr turkish, tt tatar, uk ukrainian, ur urdu, uz uzbek, vi vietnamese, yi yiddish, yo yoruba, zh chinese,
yue cantonese
"""

WHISPER: Mapping[str, str] = {code: name for code, _, name in (entry.strip().partition(" ") for entry in _NAMES.split(","))}
"""English names by language code."""


def code_of(said: str) -> str:
    """Return the code for a code, a code with a region (`en-US`) or a name (`English`).

    Anything else is returned unchanged.
    """
    plain = said.strip().lower()
    by_name = {name: code for code, name in WHISPER.items()}
    return next((code for code in (plain, by_name.get(plain, ""), plain.replace("_", "-").partition("-")[0]) if code in WHISPER), said)


def unsupported_language_reason(language: str) -> str | None:
    """Return why no Whisper weights support the language, or None if some do."""
    if language == "auto" or language in WHISPER:
        return None
    guess = similar(language, WHISPER.values())
    return f"does not know the language {language!r}{f' (perhaps {guess}?)' if guess else ''}"
