"""Topics of the needles: what is shown, said or flown past, and the questions about it.

All values of a topic are of one kind, so each is a plausible wrong answer for another.
"""

from typing import Literal, NamedTuple

Kind = Literal["text", "speech", "vision"]
"""Medium of a needle: shown text, speech, or a drawing; the last needs an object recognizer."""


class Topic(NamedTuple):
    """A statement with four or more alternative values."""

    kind: Kind
    form: str
    """Text or sentence, with `{}` for the value."""
    what: str
    """Question for the value."""
    values: tuple[str, ...]

    def told(self, value: str) -> str:
        """Return the text or sentence with a value."""
        return self.form.format(value)


TOPICS = (
    Topic(
        *("text", "CODE WORD: {}", "Which code word is shown on the screen?"),
        ("HERON 42", "FALCON 17", "OTTER 88", "BADGER 63", "RAVEN 29", "LIZARD 54"),
    ),
    Topic(
        *("text", "THE WINNER IS {}", "Which winner is shown on the screen?"),
        ("OLIVIA", "HENRY", "VICTORIA", "GEORGE", "MARTHA", "EDWARD"),
    ),
    Topic(
        *("text", "NEXT STATION: {}", "Which next station is shown on the screen?"),
        ("ASHFORD", "MILLTOWN", "RIVERSIDE", "OAKHAM", "BRIGHTON", "KINGSBURY"),
    ),
    Topic(
        *("text", "SAFE NUMBER {}", "Which safe number is shown on the screen?"),
        ("4827", "4872", "2748", "8247", "7482", "2874"),
    ),
    Topic(
        *("text", "DISH OF THE DAY: {}", "Which dish of the day is shown on the screen?"),
        ("LENTIL SOUP", "APPLE PIE", "GRILLED TROUT", "ONION TART", "BEAN STEW", "PLUM CAKE"),
    ),
    Topic(
        *("text", "TONIGHT: THE {}", "Which title for tonight is shown on the screen?"),
        ("GLASS BRIDGE", "SILENT GARDEN", "PAPER KING", "LAST ISLAND", "FROZEN CLOCK", "WOODEN CROWN"),
    ),
    Topic(
        *("text", "FOUND: {}", "Which found item is shown on the screen?"),
        ("GREEN SCARF", "BROWN WALLET", "SILVER RING", "LEATHER GLOVE", "WINTER HAT", "POCKET WATCH"),
    ),
    Topic(
        *("speech", "The train goes to {}.", "Where does the voice say that the train goes?"),
        ("Boston", "London", "Chicago", "Washington"),
    ),
    Topic(
        *("speech", "The captain is named {}.", "How does the voice say that the captain is named?"),
        ("Margaret", "William", "Elizabeth", "Charles"),
    ),
    Topic(
        *("speech", "The ticket costs {} dollars.", "How many dollars does the voice say that the ticket costs?"),
        ("seven", "twelve", "twenty", "forty"),
    ),
    Topic(
        *("speech", "The meeting is on {}.", "On which day does the voice say that the meeting is?"),
        ("Monday", "Tuesday", "Friday", "Saturday"),
    ),
    Topic(
        *("speech", "For dinner we will have {}.", "What does the voice say that we will have for dinner?"),
        ("tomatoes", "salmon", "pizza", "cheese"),
    ),
    Topic(
        *("speech", "The doctor lives in the {}.", "Where does the voice say that the doctor lives?"),
        ("mountains", "village", "hospital", "library"),
    ),
    *(
        Topic("vision", f"a {{}} {thing}", f"What colour is the {thing} that flies past?", ("red", "blue", "green", "yellow"))
        for thing in ("balloon", "kite", "star", "umbrella")
    ),
)

ORDER = {
    "text": "Which of these texts is shown on the screen {}?",
    "speech": "Which of these sentences does the voice say {}?",
    "vision": "Which of these flies past {}?",
}
COUNT = {
    "text": 'How many times is the text "{}" shown on the screen?',
    "speech": 'How many times does the voice say "{}"?',
    "vision": "How many times does {} fly past?",
}
WHAT_IS_SAID = 'Which sentence does the voice say while the text "{}" is on the screen?'
WHAT_IS_SHOWN = 'Which text is on the screen while the voice says "{}"?'
ABSENT = "It is not in the video"
NOWHERE = "Not in the video"
"""Answers for things not in the video: as an option, and as free text."""

FILLERS = (
    "The weather was pleasant all afternoon.",
    "Several people walked along the river.",
    "The garden was full of flowers.",
    "He opened the window and looked outside.",
)
"""Sentences without questions."""
VOICES = {"The train": "slt", "For dinner": "slt", "The doctor": "slt", "Several": "slt", "He opened": "slt"}
"""The flite voice by the start of a sentence, `rms` for all others; chosen so that they are understood."""

SENTENCES = (*(topic.told(value) for topic in TOPICS if topic.kind == "speech" for value in topic.values), *FILLERS)
