"""Questions with their answers, and the needles to plant for them.

Each recipe makes one type of question about any kind of needle. No two questions of a video share a
topic, so a needle of one never answers another.
"""

from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Literal, NamedTuple

from benchmarks.needles.stock import ABSENT, COUNT, NOWHERE, ORDER, TOPICS, WHAT_IS_SAID, WHAT_IS_SHOWN, Kind, Topic

Type = Literal["retrieval", "ordering", "counting", "not_there", "combined"]

_OPTIONS = 4
_MOST = 4
"""Maximum number of occurrences of something to count."""


class Plant(NamedTuple):
    """What is shown and said at a place, simultaneously."""

    place: int
    tells: tuple[tuple[Kind, str], ...]


class Draft(NamedTuple):
    """A question; `answer` is the index of an option, or a text if there are no options."""

    type: Type
    needs: tuple[Kind, ...]
    question: str
    options: tuple[str, ...]
    answer: int | str
    plants: tuple[Plant, ...] = ()
    evidence: tuple[int, ...] = ()
    """Places that prove the answer."""


class Room:
    """The free places and topics of a video, and its random generator."""

    def __init__(self, random: Random, places: int) -> None:
        self.random = random
        self.free = random.sample(range(places), places)
        self._topics = random.sample(TOPICS, len(TOPICS))

    def places(self, count: int) -> list[int]:
        """Take `count` free places, in time order."""
        taken, self.free = self.free[:count], self.free[count:]
        return sorted(taken)

    def topic(self, kind: Kind) -> Topic:
        """Take a free topic."""
        return self._topics.pop(next(i for i, topic in enumerate(self._topics) if topic.kind == kind))

    def shuffled(self, right: str, wrong: Sequence[str]) -> tuple[tuple[str, ...], int]:
        """Shuffle the options; return them with the index of the right one."""
        options = [right, *wrong]
        self.random.shuffle(options)
        return tuple(options), options.index(right)


def drafts(room: Room, turn: int, count: int) -> Iterator[Draft]:
    """Yield up to `count` questions that fit in; the first recipe depends on `turn`."""
    left = count
    for recipe, kind, most in (*_RECIPES[turn % len(_RECIPES) :], *_RECIPES[: turn % len(_RECIPES)]):
        if left and len(room.free) >= most:
            yield recipe(room, kind)
            left -= 1


def _retrieval(room: Room, kind: Kind) -> Draft:
    topic = room.topic(kind)
    value, *others = room.random.sample(topic.values, _OPTIONS)
    where = room.places(1)
    style = room.random.choice(("four", "absent", "open"))
    wrong = [*others[1:], ABSENT] if style == "absent" else others
    options, right = ((), value) if style == "open" else room.shuffled(value, wrong)
    return Draft("retrieval", (kind,), topic.what, options, right, _planted(where, topic, [value]), tuple(where))


def _not_there(room: Room, kind: Kind) -> Draft:
    topic = room.topic(kind)
    options, right = room.shuffled(ABSENT, room.random.sample(topic.values, _OPTIONS - 1))
    if room.random.random() < 0.5:
        return Draft("not_there", (kind,), topic.what, (), NOWHERE)
    return Draft("not_there", (kind,), topic.what, options, right)


def _ordering(room: Room, kind: Kind) -> Draft:
    topic = room.topic(kind)
    values = room.random.sample(topic.values, _OPTIONS)
    where = room.places(_OPTIONS)
    end = room.random.choice(("first", "last"))
    told = [topic.told(value) for value in values]
    options, right = room.shuffled(told[0], told[1:]) if end == "first" else room.shuffled(told[-1], told[:-1])
    return Draft("ordering", (kind,), ORDER[kind].format(end), options, right, _planted(where, topic, values), tuple(where))


def _counting(room: Room, kind: Kind) -> Draft:
    """Ask how often something happens; something similar happens once as a distractor."""
    topic = room.topic(kind)
    value, other = room.random.sample(topic.values, 2)
    times = room.random.randint(1, _MOST)
    values = [other, *[value] * times]
    room.random.shuffle(values)
    where = room.places(len(values))
    least = room.random.randint(max(1, times - _OPTIONS + 1), times)
    options, right = room.shuffled(str(times), [str(n) for n in range(least, least + _OPTIONS) if n != times])
    counted = tuple(place for place, told in zip(where, values, strict=True) if told == value)
    question = COUNT[kind].format(topic.told(value))
    return Draft("counting", (kind,), question, options, right, _planted(where, topic, values), counted)


def _combined(room: Room, _: Kind) -> Draft:
    """Show and say something simultaneously at four places; ask for one by the other."""
    shown, said = room.topic("text"), room.topic("speech")
    texts = [shown.told(value) for value in room.random.sample(shown.values, _OPTIONS)]
    sentences = [said.told(value) for value in room.random.sample(said.values, _OPTIONS)]
    where = room.places(_OPTIONS)
    at = room.random.randrange(_OPTIONS)
    by, wanted, form = room.random.choice(((texts, sentences, WHAT_IS_SAID), (sentences, texts, WHAT_IS_SHOWN)))
    options, right = room.shuffled(wanted[at], [told for told in wanted if told != wanted[at]])
    plants = tuple(
        Plant(place, (("text", text), ("speech", sentence))) for place, text, sentence in zip(where, texts, sentences, strict=True)
    )
    return Draft("combined", ("text", "speech"), form.format(by[at]), options, right, plants, (where[at],))


def _planted(where: Sequence[int], topic: Topic, values: Sequence[str]) -> tuple[Plant, ...]:
    return tuple(Plant(place, ((topic.kind, topic.told(value)),)) for place, value in zip(where, values, strict=True))


_RECIPES: tuple[tuple[Callable[[Room, Kind], Draft], Kind, int], ...] = (
    (_retrieval, "text", 1),
    (_retrieval, "speech", 1),
    (_not_there, "text", 0),
    (_ordering, "text", _OPTIONS),
    (_counting, "speech", _MOST + 1),
    (_combined, "text", _OPTIONS),
    (_retrieval, "vision", 1),
    (_not_there, "speech", 0),
    (_counting, "text", _MOST + 1),
    (_ordering, "speech", _OPTIONS),
    (_counting, "vision", _MOST + 1),
    (_retrieval, "text", 1),
    (_combined, "speech", _OPTIONS),
    (_ordering, "vision", _OPTIONS),
    (_not_there, "vision", 0),
)
"""Recipe, kind and maximum number of places. Together they use all topics of each kind."""

MOST_QUESTIONS = len(_RECIPES)
