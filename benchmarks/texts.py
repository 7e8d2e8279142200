"""What is spoken."""

from videosdk.plugins.lokutor.local.signal_engine import CHARACTER_SECONDS

SHORT = "Works for me."
"""Three quarters of a second: the turns whose first audio is measured."""
INTERRUPTED = (
    "Let me read you the whole list of our opening hours, beginning with the shop "
    "in the old town by the river."
)
"""Six and a half seconds: the turns that are interrupted."""
INTERRUPTED_NEXT = (
    "Now for the second part of that same list, which begins with the other shop, "
    "in the new town on the hill."
)
"""About as long: every other turn says it, so that the rest of the one before is told apart."""
TOKENS = ["Sure", ", ", "that ", "works ", "for ", "me. ", "I ", "will ", "note ", "it ", "down."]
"""As a language model yields them. The framework's chunker lets the first sentence go within the second."""
REPLY = (
    "I have looked at your order, and it left our house on Monday. The carrier says that it will be with "
    "you tomorrow, some time before noon. If nobody is at home, they will leave it with a neighbour. You can "
    "also choose another day, as long as you tell them by tonight. Shall I send you the link for that?"
)
"""Eighteen seconds: the replies of the conversation."""


def lasting(seconds: float) -> str:
    """Return a text that takes about ``seconds`` to speak."""
    sentence = "and then we went on along the river until it was dark "
    repeated = sentence * (int(seconds / CHARACTER_SECONDS) // len(sentence) + 1)
    return repeated[: round(seconds / CHARACTER_SECONDS) - 1].strip() + "."


def duration(text: str) -> float:
    """Return the seconds that ``text`` takes."""
    return len(text) * CHARACTER_SECONDS
