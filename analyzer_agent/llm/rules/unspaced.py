"""Content words in scripts without spaces between words, without a dictionary of any language.

Function words cut a run into parts; how much of a part a text shares is counted in letters. Korean
has spaces: its words lose their particles and endings.
"""

import re
from collections.abc import Iterable
from functools import cache
from unicodedata import normalize

from analyzer_agent.folding import fold, letters_of

_HANGUL = re.compile("[\u1100-\u11ff\ua960-\ua97f\uac00-\ud7ff]")
_HAN = re.compile("[\u3005-\u3007\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")

_FUNCTION_WORDS = """
    请问 請問 我们 我們 你们 你們 他们 他們 什么时候 什麼時候 什么地方 什麼地方 什么 什麼 哪里 哪裡 哪裏 哪儿 哪兒 哪个 哪個
    哪些 哪 谁 誰 怎么样 怎麼樣 怎么 怎麼 怎样 怎樣 如何
    为什么 為什麼 为何 為何 何时 何時 何处 何處 多少 多久 吗 嗎 呢 吧 的 了 是 在 这个 這個 那个 那個 里面 裡面 视频 視頻 影片
    どこ いつ だれ 誰 なに なん 何 なぜ どうして どう どの どれ どんな いくら いくつ という について ください この その あの これ それ
    ที่ไหน ไหน อะไร ใคร เมื่อไหร่ เมื่อไร อย่างไร ยังไง ทำไม เท่าไหร่ เท่าไร กี่ ไหม มั้ย หรือเปล่า คือ เป็น อยู่ ที่ ใน และ ของ จะ ครับ ค่ะ คะ
    ຢູ່ໃສ ໃສ ຫຍັງ ໃຜ ເມື່ອໃດ ແນວໃດ ຍ້ອນຫຍັງ ເທົ່າໃດ ບໍ ຢູ່ ທີ່ ແມ່ນ
    នៅឯណា ឯណា ណា អ្វី នរណា ពេលណា យ៉ាងណា ហេតុអ្វី ប៉ុន្មាន ទេ នៅ គឺ នៃ និង
    ဘယ်မှာ ဘယ်သူ ဘာကြောင့် ဘာ ဘယ်တော့ ဘယ်လို ဘယ်လောက် သလဲ လဲ သလား သည် မှာ
"""
_COMMON_WORDS = """
    今天 明天 昨天 今日 明日 昨日 今晚 现在 現在 早上 上午 中午 下午 晚上 วันนี้ พรุ่งนี้ เมื่อวาน ມື້ນີ້ មិនទាន់ ថ្ងៃនេះ ဒီနေ့
"""
"""Words of their own, so that they do not run into their neighbours."""

_ENDINGS_OF_JAPANESE = (
    r"(?:[てで]い?)?ま(?:す|した|せん|しょう)か?|で(?:す|した)か?|(?<=[\u30a1-\u30ff\u3400-\u9fff])(?:[はがをにへとでもの]+|から|まで)"
)

_KOREAN_ENDINGS = tuple(
    """
    했습니까 했습니다 합니까 합니다 습니까 습니다 입니까 입니다
    하나요 인가요 나요 했나요 했어요 해요 어요 아요 예요 이에요 니까 니다 했다 한다 하는 하다
    에서는 에서도 에서 에게 께서 으로 까지 부터 하고 이랑 처럼 보다 마다 은 는 이 가 을 를 에 의 도 만 와 과 로
    """.split()  # noqa: SIM905
)
_KOREAN_STOP = frozenset("어디 어디서 무엇 무슨 뭐 누구 언제 왜 어떻게 어떤 얼마 얼마나 몇 어느 있 이 그 저".split())  # noqa: SIM905


def content_parts(word: str) -> list[str]:
    """Return the parts of a folded run that may carry its meaning: none if it is only function words."""
    if _HANGUL.match(word):
        stem = korean_stem(word)
        return [] if stem in _KOREAN_STOP else [stem]
    return [part for part in _cuts().sub(_common_alone, word).split() if part]


def korean_stem(word: str) -> str:
    """Remove the longest known particle or ending from a Korean word; at least one syllable remains."""
    for ending in _KOREAN_ENDINGS:
        if word.endswith(ending) and len(word) > len(ending):
            return word[: -len(ending)]
    return word


def weight(part: str) -> float:
    """Return how many words of other scripts a part is worth: half of its letters; a Korean word is one."""
    return 1.0 if _HANGUL.match(part) else len(letters_of(part)) / 2


def shared(part: str, words: Iterable[str]) -> float:
    """Return which share of a part stands in the folded words of a text, from 0 to 1.

    A letter counts where it stands among neighbours of the part; of Han, the others count as well
    once two neighbours were found, as a word may be a single letter.
    """
    if _HANGUL.match(part):
        return float(any(_same_korean(part, word) for word in words if _HANGUL.match(word)))
    letters, runs = letters_of(part), list(words)
    size = min(len(letters), 2 if _HAN.search(part) else 3)
    found = {n for at in range(len(letters) - size + 1) for n in range(at, at + size) if _stands("".join(letters[at : at + size]), runs)}
    if found:
        found |= {n for n, letter in enumerate(letters) if _HAN.match(letter) and _stands(letter, runs)}
    return len(found) / len(letters)


def _stands(text: str, runs: Iterable[str]) -> bool:
    return any(text in run for run in runs)


def _same_korean(stem: str, word: str) -> bool:
    """Compare by jamo, as an ending may grow into the last syllable of the stem."""
    return korean_stem(word) == stem if len(stem) == 1 else normalize("NFD", stem) in normalize("NFD", word)


@cache
def _cuts() -> re.Pattern[str]:
    def either(words: str) -> str:
        return "|".join(sorted(map(re.escape, map(fold, words.split())), key=len, reverse=True))

    return re.compile(f"(?P<common>{either(_COMMON_WORDS)})|{either(_FUNCTION_WORDS)}|{_ENDINGS_OF_JAPANESE}")


def _common_alone(found: re.Match[str]) -> str:
    return f" {found['common'] or ''} "
