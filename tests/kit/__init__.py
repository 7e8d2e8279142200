"""What the tests share: a scripted server, what a track was given, and waits that know no clock."""

from kit.calls import chunks_of, emitted_by, follows, interrupt_late, listen, requests_of, told
from kit.server import (
    Conversation,
    LoopbackServer,
    Script,
    ScriptedServer,
    close_on_request,
    cut_on_request,
    refusing,
    speak,
    speak_timed,
)
from kit.speech import SAMPLES_PER_CHARACTER, at_track_rate, heard_for, speech_of, trimmed, visemes_of
from kit.tracks import BareTrack, Listener, on_track, pushed_samples
from kit.waits import PATIENCE, Clock, Lateness, logged, settled, until

__all__ = [
    "PATIENCE",
    "SAMPLES_PER_CHARACTER",
    "BareTrack",
    "Clock",
    "Conversation",
    "Lateness",
    "Listener",
    "LoopbackServer",
    "Script",
    "ScriptedServer",
    "at_track_rate",
    "chunks_of",
    "close_on_request",
    "cut_on_request",
    "emitted_by",
    "follows",
    "heard_for",
    "interrupt_late",
    "listen",
    "logged",
    "on_track",
    "pushed_samples",
    "refusing",
    "requests_of",
    "settled",
    "speak",
    "speak_timed",
    "speech_of",
    "told",
    "trimmed",
    "until",
    "visemes_of",
]
