"""What the plugin takes for granted about the service: each fact, how sure it is, and what hangs on it.

Rule of this file: a table, and nothing else. The conformance check has one probe for each of :data:`FACTS`,
and ``docs/protocol.md`` is written from them. Nobody of this project has reached the service: the sources are
Lokutor's documentation, its official SDKs, and what its other integrations do.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Sure(StrEnum):
    """How sure a fact is."""

    RELIED_ON = "A"
    DOCUMENTED = "B"
    INFERRED = "C"
    OPEN = "?"


SURE = {
    Sure.RELIED_ON: "several official clients rely on it",
    Sure.DOCUMENTED: "documented, or used by one official client",
    Sure.INFERRED: "inferred",
    Sure.OPEN: "nobody knows: what is written is what the plugin copes with best",
}
"""What each letter means."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that the plugin takes for granted.

    Attributes:
        name: Its name in reports.
        group: The part of the protocol.
        assumes: What is taken for granted.
        sure: How sure it is.
        source: Where it comes from.
        otherwise: What follows for the plugin if it isn't so.
    """

    name: str
    group: str
    assumes: str
    sure: Sure
    source: str
    otherwise: str


_A, _B, _C, _OPEN = Sure.RELIED_ON, Sure.DOCUMENTED, Sure.INFERRED, Sure.OPEN
_SDK = "Python SDK 1.6.0"
_BOTH = "Python SDK 1.6.0, Pipecat"
_GUIDE = "documentation"
_CATALOGUE = "JavaScript SDK"
_OLD = "older clients"
_TABLE = (
    ("Connections", (
        ("path", "`/ws/tts` takes WebSockets, with the key in the header `X-API-Key`", _A, _SDK,
         "The plugin can't connect: its default path or header must change."),
        ("old-path", "`/ws` takes them as well", _A, _OLD,
         "A `base_url` that ends with `/ws` doesn't work; the plugin's default isn't concerned."),
        ("key-in-url", "`?api_key=` in the URL is accepted instead of the header", _B, _OLD,
         "Nothing: the plugin sends the header only."),
        ("missing-key", "without a key the handshake is refused with 401 and `auth.missing_key`", _B,
         _CATALOGUE, "A missing key may be reported as something else, or be retried."),
        ("wrong-key", "with a wrong key it is refused with 401 and `auth.invalid_key`", _B, _CATALOGUE,
         "A wrong key may be reported as something else, or be retried."),
        ("ping", "a ping is answered within a second", _C, "RFC 6455",
         "A connection on standby is taken for dead when a turn takes it: each turn opens its own."),
        ("two-requests", "one connection serves requests one after another", _A, _BOTH,
         "The plugin connects anew for each request: expect gaps between sentences."),
        ("after-end", "behind the end of a request nothing of it comes any more", _A, _BOTH,
         "Late audio would be taken for the next request's."),
        ("early-request", "a request that is sent before the last has ended is queued", _OPEN, "-",
         "Nothing today: the plugin never does it. It can't be used to close gaps between sentences."),
        ("cancel", "closing the socket cancels: the next connection speaks at once", _C, _BOTH,
         "After a barge-in, the next turn waits for a session or is refused."),
        ("sessions", "two connections at a time may speak: a turn's and the standby connection", _OPEN,
         "-", "Set `keep_warm=False`, or the standby connection takes the place of a turn's."),
        ("idle", "an idle connection stays open, before its first request and between two", _OPEN, "-",
         "A connection on standby ends early: it is replaced, ever more rarely."),
        ("rate-limit", "429 counts requests, not handshakes", _OPEN, "-",
         "The standby connection uses up the allowance: one handshake for each turn."),
    )),
    ("Discovery", (
        ("voices", "`GET /voices` lists `en_f1` to `en_m5` and `esca_f1` to `esca_m5`", _B, _GUIDE,
         "The names in the plugin's type `Voice` are not those of the service."),
        ("languages", "`GET /languages` lists en es ca gl eu pt fr it de", _B, _GUIDE,
         "The plugin warns of a language that the service has, or doesn't warn of one that it lacks."),
        ("models", "`GET /models` lists models with `name` and `default`", _B, _GUIDE,
         "Nothing: the plugin doesn't ask for them."),
        ("config", "`GET /config` says 44100 Hz, mono, speed 0.5 to 2.0, steps 1 to 50", _B, _GUIDE,
         "Audio at another rate plays at a wrong pitch; values are refused here that the service takes."),
        ("health", "`GET /health` says `ok` or `warming_up`", _B, _GUIDE,
         "Nothing: the plugin doesn't ask for it."),
    )),
    ("Requests", (
        ("defaults", "only `text` is required", _B, _GUIDE, "Nothing: the plugin sends every key."),
        ("unknown-keys", "keys that the service doesn't know are ignored", _C, _OLD,
         "`language` and `lang` can't both be sent: every request is refused."),
        ("language", "`language` is read", _A, _BOTH, "The language is chosen by `lang`, or not at all."),
        ("lang", "`lang` is read where `language` is missing", _B, _OLD,
         "Nothing: the plugin sends both with the same value."),
        ("new-voices", "voices of Versa 2.0, such as `en_f1`, are taken", _B, _GUIDE,
         "`voice=\"en_f1\"` fails; use the names that the service lists."),
        ("old-voices", "voices of Versa 1.x, such as `F1`, are taken", _A, _SDK,
         "The plugin's default voice fails: set `voice`."),
        ("speed", "`speed` 2.0 speaks twice as fast as 1.0", _A, _BOTH,
         "`speed` and the `rate` of speech markup don't do what they say."),
        ("steps", "`steps` from 1 to 50 are taken", _A, _BOTH, "`steps` must be narrower."),
        ("model", "`version` takes `versa-1.0`", _B, _GUIDE, "`model=\"versa-1.0\"` fails."),
        ("long-text", "1,000 characters are spoken whole", _B, _GUIDE,
         "Long sentences must be cut into shorter requests."),
        ("repeatable", "the same request gives the same audio again, to within 50 ms", _OPEN, "-",
         "A reply that goes on after a lost connection may repeat or lose a part of a word there."),
        ("numbers", "numbers and prices are read", _OPEN, "-",
         "Install the extra `numbers` and use `text_filter()`: digits are left out or spelled otherwise."),
        ("number-language", "numbers are read in the language of the request", _OPEN, "-",
         "Use `text_filter()` for every language but English."),
    )),
    ("Replies", (
        ("pcm", "audio is signed 16-bit little-endian PCM", _A, _BOTH, "All that is heard is noise."),
        ("sample-rate", "audio is 44.1 kHz mono", _A, _BOTH, "Speech has a wrong pitch and a wrong length."),
        ("binary-audio", "audio comes in binary messages", _A, _BOTH,
         "Nothing: the plugin reads the JSON form as well, which is a third larger."),
        ("whole-samples", "the audio of a request is a whole number of samples; a message's need not be", _C,
         "-", "The last byte of a request is dropped."),
        ("end", "a request ends with one `EOS` or `{\"type\":\"eos\"}`", _A, _BOTH,
         "A turn ends only when its time is out."),
        ("known-messages", "no message is of a kind that the plugin doesn't know", _A, _BOTH,
         "It is ignored. What it says may be of use."),
        ("silence", "a request's audio begins with less than 0.4 s of silence", _OPEN, "-",
         "With `trim_silence=True` it is cut. Without, every turn begins late."),
    )),
    ("Visemes", (
        ("visemes", "`visemes: true` brings timing messages", _A, _BOTH,
         "Words are estimated from the audio, and there is no lip-sync."),
        ("visemes-off", "without it there are none", _B, _GUIDE, "Nothing: they are ignored."),
        ("viseme-index", "`v` counts the code points of the request's text, from 0", _B, _GUIDE,
         "Words come at wrong times, in texts with accents or emoji or in all."),
        ("viseme-unit", "`t` is in seconds", _B, _GUIDE, "Words and lip-sync come at wrong times."),
        ("viseme-base", "`t` counts from the audio of the request, not of the connection", _B,
         "clients; the guide says otherwise", "Nothing: the plugin finds out which it is."),
        ("viseme-start", "the first `t` that isn't silence is where the audio begins to sound", _C, "-",
         "Words and visemes are shifted by as much, and so is what a barge-in remembers."),
        ("viseme-order", "`t` and `v` never go back", _C, "-", "Nothing: the plugin sorts what it gets."),
        ("viseme-lateness", "timing comes before the audio that it describes", _B, _GUIDE,
         "Words are told late, and a barge-in remembers fewer."),
    )),
    ("Times", (
        ("first-audio", "the first audio comes within 0.3 s of the request, besides the way there and back",
         _B, "measured by others", "Nothing: the plugin learns it. Callers wait that long."),
        ("first-audio-length", "it doesn't come later for a longer text", _OPEN, "-",
         "Nothing: the pacer learns the slope. A short first sentence is heard sooner."),
        ("real-time", "audio is made faster than it is played", _B, "measured by others",
         "Gaps inside sentences. Fewer `steps` are faster."),
    )),
    ("Errors", (
        ("error-voice", "a voice that doesn't exist is refused with `validation.invalid_voice`", _B,
         _CATALOGUE, "The refusal is retried, or another voice speaks."),
        ("error-language", "a language that doesn't exist with `validation.invalid_language`", _B, _CATALOGUE,
         "The refusal is retried, or another language is spoken."),
        ("error-speed", "`speed` 9 with `validation.speed_out_of_range`", _B, _CATALOGUE,
         "The refusal is retried, or the speed is another."),
        ("error-steps", "`steps` 99 with `validation.steps_out_of_range`", _B, _CATALOGUE,
         "The refusal is retried, or other steps are taken."),
        ("error-format", "what is not JSON with `validation.invalid_request_format`", _B, _CATALOGUE,
         "Nothing: the plugin sends JSON."),
        ("error-empty", "an empty text with `validation.invalid_request_format`", _C, _CATALOGUE,
         "Nothing: the plugin sends no empty text."),
        ("error-length", "a text over the longest with `validation.text_too_long`", _B, _CATALOGUE,
         "The refusal is retried."),
        ("after-error", "the connection serves on after an error", _C, "-",
         "Nothing: the plugin opens another connection for the next try."),
    )),
)  # fmt: skip
FACTS: tuple[Fact, ...] = tuple(
    Fact(name, group, assumes, sure, source, otherwise)
    for group, rows in _TABLE
    for name, assumes, sure, source, otherwise in rows
)
"""Every fact that has a probe, in the order in which they are probed."""
UNPROBED: tuple[tuple[str, Sure, str], ...] = (
    ("A close without an end means that the request was cut off", _A, "it can't be provoked"),
    ("There is no message that cancels or flushes, and no choice of a sample rate", _A, "no client has one"),
    ("Over the limit of requests a minute (10, 100 or 500), the answer is HTTP 429", _B,
     "only probed with `--rate-limit`"),
    ("`auth.time_limited`, `tts.synthesis_failed`, `tts.voice_unavailable`, `tts.model_not_found`, "
     "`internal.error` and `internal.timeout` are what they say", _B, "they can't be provoked"),
)  # fmt: skip
"""What is taken for granted and can't be probed, with the reason."""
