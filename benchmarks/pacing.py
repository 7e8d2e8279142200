"""Thousands of replies in virtual time: what the pacing policy trades, on five kinds of service.

    python -m benchmarks.pacing [--picture FILE]

The policy, the learned times and the text planner are the plugin's own. The service, the language model, the
listener and the clock are simulated, so a thousand replies take seconds and the result is the same on every
machine. The real sockets are measured by ``python -m benchmarks``.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from videosdk.plugins.lokutor._pacing.policy import Hold, Send, decide
from videosdk.plugins.lokutor._pacing.times import ServiceTimes
from videosdk.plugins.lokutor._text.pieces import Segment
from videosdk.plugins.lokutor._text.planner import TextPlanner

CHARACTERS_PER_SECOND = 16.0
"""Of speech; the spread of sentences about it is 10 %."""
FRAME = 0.02
"""Seconds of silence from which on a listener can hear a gap."""
REPLIES_PER_CALL = 20
"""Replies by one plugin, which learns."""
CUTS = 8
"""Barge-ins tried on each reply, at random moments."""
TOKENS_PER_SECOND = (10, 20, 60)
_BOUND = 3
"""Sentences that a caller may interrupt at most: the one that is spoken, the next, and one more."""
_LONG = 12
"""Words from which on a sentence has a comma."""
_OPENS_SHORT, _GOES_ON_SHORT = 0.4, 0.1
"""How often a reply begins with a short sentence, and how often one follows another sentence."""
_SHORT = ("Hello!", "Sure.", "Of course!", "Yes.", "One moment.", "Thank you!")
_WORDS = [
    "a",
    "the",
    "of",
    "to",
    "and",
    "in",
    "is",
    "we",
    "you",
    "can",
    "have",
    "time",
    "with",
    "your",
    "that",
    "from",
    "this",
    "when",
    "open",
    "today",
    "until",
    "please",
    "between",
    "appointment",
    "tomorrow",
    "restaurant",
    "available",
    "afternoon",
    "message",
    "reception",
    "confirm",
    "another",
    "street",
    "question",
    "whether",
    "already",
    "change",
    "order",
    "number",
    "please",
    "call",
    "minutes",
    "delivery",
    "station",
    "evening",
    "morning",
]


class Service(NamedTuple):
    """How a simulated service answers."""

    name: str
    first_audio: Callable[[int, random.Random], float]
    rate: float
    round_trip: float = 0.04


SERVICES = (
    Service("a: constant first audio, 5x", lambda length, rng: 0.12, 5.0),
    Service("b: 60 ms + 1.5 ms a character, at once", lambda length, rng: 0.06 + 0.0015 * length, inf),
    Service("c: 150 ms, 1.3x", lambda length, rng: 0.15, 1.3),
    Service("d: round trip of 200 ms, 3x", lambda length, rng: 0.28, 3.0, 0.2),
    Service("e: 60 to 600 ms, 5x", lambda length, rng: rng.uniform(0.06, 0.6), 5.0),
)

Policy = Callable[[ServiceTimes, Sequence[Segment], float | None], Send | Hold]


def at_once(times: ServiceTimes, segments: Sequence[Segment], ahead: float | None) -> Send | Hold:
    """Send all there is, as with ``pacing=False``."""
    return Send(len(segments))


def fixed(remaining: float, characters: int) -> Policy:
    """Return a policy with fixed thresholds: seconds of audio ahead, and characters of a request."""

    def policy(times: ServiceTimes, segments: Sequence[Segment], ahead: float | None) -> Send | Hold:
        if ahead is None:
            return Send(1)
        if ahead > remaining:
            return Hold(ahead - remaining)
        count = length = 0
        while count < len(segments) and (not count or length + segments[count].length <= characters):
            length += segments[count].length
            count += 1
        return Send(count)

    return policy


@dataclass
class Request:
    """One request of a simulated reply. Times are seconds."""

    characters: int
    sent: float
    first: float
    plays: float
    audio: float
    gap: float
    """Silence before it that was the plugin's to prevent."""

    def heard(self, at: float) -> float:
        """Return how many characters were heard."""
        return self.characters * min(max((at - self.plays) / self.audio, 0.0), 1.0)


@dataclass
class Reply:
    """One simulated reply."""

    sentences: list[int] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)

    def unheard(self, at: float) -> float:
        """Return how many characters had been sent in vain if the caller interrupts."""
        sent = [request for request in self.requests if request.sent <= at]
        return sum(request.characters - request.heard(at) for request in sent)

    def bound(self, at: float) -> float:
        """Return how many characters are left of the sentence that is spoken, the next, and one more."""
        heard = sum(request.heard(at) for request in self.requests)
        end = count = 0
        for length in self.sentences:
            end += length + 1
            count += end > heard
            if count == _BOUND:
                break
        return end - heard + 1


def write_reply(rng: random.Random) -> list[str]:
    """Return the sentences of a reply: four to seven, some short, some with clauses."""
    sentences = [rng.choice(_SHORT)] if rng.random() < _OPENS_SHORT else []
    for _ in range(rng.randint(4, 6)):
        words = [rng.choice(_WORDS) for _ in range(rng.randint(5, 22))]
        if len(words) > _LONG:
            words[rng.randint(4, 8)] += ","
        sentences.append(" ".join(words).capitalize() + rng.choice("..?!"))
        if rng.random() < _GOES_ON_SHORT:
            sentences.append(rng.choice(_SHORT))
    return sentences


def arrivals(text: str, tokens_per_second: float) -> Iterator[tuple[float, str]]:
    """Yield when which token of a language model comes. With no speed, all of it is there at once."""
    if not tokens_per_second:
        yield 0.0, text
        return
    for count, start in enumerate(range(0, len(text), 4)):
        yield count / tokens_per_second, text[start : start + 4]


@dataclass
class Setting:
    """What stays the same for the replies of one plugin."""

    service: Service
    speed: float
    policy: Policy
    rng: random.Random
    times: ServiceTimes = field(default_factory=ServiceTimes)

    def __post_init__(self) -> None:
        self.times.note_handshake(3 * self.service.round_trip)


def play(sentences: list[str], setting: Setting) -> Reply:
    """Return one reply, as it would have been spoken."""
    service, times, rng = setting.service, setting.times, setting.rng
    planner = TextPlanner("en")
    reply = Reply([len(sentence) for sentence in sentences])
    tokens = list(arrivals(" ".join(sentences), setting.speed))
    now, runs_dry, ready_since = 0.0, -inf, inf
    while True:
        while tokens and tokens[0][0] <= now:
            planner.push(tokens.pop(0)[1])
            if not tokens:
                planner.end()
        segments = planner.segments()
        if not segments and not tokens:
            return reply
        ready_since = min(ready_since, now) if segments else inf
        ahead = runs_dry - now if reply.requests else None
        plan = (
            setting.policy(times, segments, None if ahead is None else max(ahead, 0.0))
            if segments
            else Hold(inf)
        )
        if isinstance(plan, Hold):
            now = min(now + max(plan.seconds, 1e-3), tokens[0][0] if tokens else inf)
            continue
        request = planner.next_request(segments[: plan.segments])
        assert request is not None
        text = request.text
        took = service.first_audio(len(text), rng)
        audio = len(text) / CHARACTERS_PER_SECOND * rng.uniform(0.9, 1.1)
        first = now + took
        gap = first - max(runs_dry, ready_since + took) if reply.requests else 0.0
        plays = max(first, runs_dry)
        reply.requests.append(Request(len(text), now, first, plays, audio, max(gap, 0.0)))
        runs_dry = plays + audio
        times.note_first_audio(len(text), took)
        times.note_request(len(text), audio, audio / service.rate)
        now, ready_since = first + audio / service.rate, inf
        if planner.segments():  # It came while the service was at work.
            ready_since = first


@dataclass
class Outcome:
    """What a policy did over many replies."""

    replies: int
    requests_per_sentence: float
    requests_per_minute: float
    """Per minute of speech."""
    unheard: float
    """Characters sent in vain at a barge-in, on average."""
    beyond: float
    """Characters by which the worst barge-in exceeded the sentence spoken, the next, and one more."""
    gaps: int
    gap_time: float
    first_audio: float


def simulate(service: Service, speed: float, policy: Policy, *, replies: int, seed: int) -> Outcome:
    """Return the outcome of so many replies."""
    rng = random.Random(seed)  # noqa: S311 - a simulation
    done: list[Reply] = []
    unheard: list[float] = []
    beyond = 0.0
    setting = Setting(service, speed, policy, rng)
    for number in range(replies):
        if number % REPLIES_PER_CALL == 0:
            setting = Setting(service, speed, policy, rng)
        reply = play(write_reply(rng), setting)
        done.append(reply)
        last = reply.requests[-1]
        for _ in range(CUTS):
            at = rng.uniform(reply.requests[0].first, last.plays + last.audio)
            unheard.append(reply.unheard(at))
            beyond = max(beyond, reply.unheard(at) - reply.bound(at))
    requests = [request for reply in done for request in reply.requests]
    gaps = [request.gap for request in requests if request.gap > FRAME]
    return Outcome(
        replies=replies,
        requests_per_sentence=len(requests) / sum(len(reply.sentences) for reply in done),
        requests_per_minute=60 * len(requests) / sum(request.audio for request in requests),
        unheard=fmean(unheard),
        beyond=beyond,
        gaps=len(gaps),
        gap_time=sum(gaps),
        first_audio=fmean(reply.requests[0].first for reply in done),
    )


POLICIES: dict[str, Policy] = {
    "this plugin": decide,
    "all at once": at_once,
    "fixed: 5 s, 300 characters": fixed(5.0, 300),
    "fixed: 1 s, 300 characters": fixed(1.0, 300),
}


def draw(outcomes: dict[str, list[Outcome]], file: Path) -> None:
    """Write a picture: characters sent in vain against requests, one mark for each policy and setting."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    for name, of_policy in outcomes.items():
        axes.scatter(
            [outcome.requests_per_minute for outcome in of_policy],
            [outcome.unheard for outcome in of_policy],
            s=[30 + 300 * outcome.gap_time / outcome.replies for outcome in of_policy],
            alpha=0.7,
            label=f"{name}: {sum(outcome.gaps for outcome in of_policy)} gaps",
        )
    axes.set_xlabel("requests per minute of speech")
    axes.set_ylabel("characters sent in vain at a barge-in")
    axes.set_ylim(bottom=0)
    axes.set_xlim(left=0)
    axes.set_title("One mark for each service and speed of the language model; larger with gaps", fontsize=10)
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=110)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.pacing", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--replies", type=int, default=100, help="for each service, speed and policy")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--picture", type=Path, help="write a picture of the trade-off to this file")
    arguments = parser.parse_args()
    outcomes: dict[str, list[Outcome]] = {name: [] for name in POLICIES}
    row = "{:40} {:>8} {:28} {:>9} {:>8} {:>8} {:>7} {:>5} {:>6} {:>6}"
    print(
        row.format(
            "service",
            "tokens/s",
            "policy",
            "req/sent.",
            "req/min",
            "unheard",
            "beyond",
            "gaps",
            "gap s",
            "first",
        )
    )
    for service in SERVICES:
        for speed in (*TOKENS_PER_SECOND, 0):
            for name, policy in POLICIES.items():
                outcome = simulate(service, speed, policy, replies=arguments.replies, seed=arguments.seed)
                outcomes[name].append(outcome)
                figures = (
                    f"{outcome.requests_per_sentence:.2f}", f"{outcome.requests_per_minute:.1f}",
                    f"{outcome.unheard:.0f}", f"{outcome.beyond:.0f}", outcome.gaps,
                    f"{outcome.gap_time:.2f}", f"{outcome.first_audio:.2f}",
                )  # fmt: skip
                print(row.format(service.name, speed or "at once", name, *figures))
    if arguments.picture:
        draw(outcomes, arguments.picture)


if __name__ == "__main__":
    main()
