"""Speech markup: what is text, what is a tag, and what becomes of both. However the text is cut."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import combinations, pairwise

from hypothesis import given
from hypothesis import strategies as st
from kit.tables import each
from videosdk.agents.tokenize import BasicSentenceChunker

from videosdk.plugins.lokutor._options import SpeechOptions, find_listed
from videosdk.plugins.lokutor._text.joints import Chunks
from videosdk.plugins.lokutor._text.markup import (
    LONGEST_PAUSE,
    MarkedText,
    MarkupParser,
    Pause,
    Style,
)
from videosdk.plugins.lokutor._text.pieces import RequestText
from videosdk.plugins.lokutor._text.planner import TextPlanner
from videosdk.plugins.lokutor._text.written import without_markup

Said = str | Pause | Style | tuple[str, str]
"""A text, a pause, a style from there on, or what is written and what is said for it."""


def flat(pieces: Iterable[MarkedText]) -> Iterator[Said]:
    for piece in pieces:
        marks = [(place, 0, mark) for place, mark in piece.marks]
        spoken = [(each.start, 1, each) for each in piece.replacements]
        place = 0
        for begin, _, what in sorted([*marks, *spoken], key=lambda each: each[:2]):
            yield piece.text[place:begin]
            place = begin
            if isinstance(what, Pause | Style):
                yield what
            else:
                yield piece.text[what.start : what.end], what.spoken
                place = what.end
        yield piece.text[place:]


def parsed(*chunks: str, sentences: bool = False) -> list[Said]:
    """Return what a parser makes of some chunks, with texts that follow each other as one."""
    parser = MarkupParser(sentences=sentences)
    result: list[Said] = []
    for said in flat([*map(parser.push, chunks), parser.end()]):
        if isinstance(said, str) and result and isinstance(result[-1], str):
            result[-1] += said
        elif said:
            result.append(said)
    return result


CATALAN, BASE = Style(language="ca"), Style()

PARSED: dict[str, list[Said]] = {
    # Breaks.
    'One.<break time="500ms"/>Two.': ["One.", Pause(0.5), "Two."],
    "One.<break time='1.5s'/>Two.": ["One.", Pause(1.5), "Two."],
    "One.<break time=.5s/>Two.": ["One.", Pause(0.5), "Two."],
    'One.<break time="2s">Two.</break>': ["One.", Pause(2.0), "Two."],
    "One. <break/> Two.": ["One. ", Pause(0.75), " Two."],
    '<BREAK Strength = "Strong" />Two.': [Pause(1.0), "Two."],
    'One.<break strength="none"/>Two.': ["One. Two."],
    'One.<break time="0s"/>Two.': ["One. Two."],
    'One.<break time="1h"/>Two.': ["One.", Pause(0.75), "Two."],
    'One.<break time="90s"/>Two.': ["One.", Pause(LONGEST_PAUSE), "Two."],
    'One.<break strength="x-weak" time="2s"/>Two.': ["One.", Pause(2.0), "Two."],
    'One.<break time="3 seconds"/>Two.': ["One.", Pause(3.0), "Two."],
    'One.<break time="500 ms"/>Two.': ["One.", Pause(0.5), "Two."],
    'One.<break time="0.5 sec"/>Two.': ["One.", Pause(0.5), "Two."],
    'One.<break time="20 milliseconds"/>Two.': ["One.", Pause(0.02), "Two."],
    'One.<break time="500"/>Two.': ["One.", Pause(0.75), "Two."],
    "One.<break time=“500ms”/>Two.": ["One.", Pause(0.5), "Two."],
    # Styles.
    'The <lang xml:lang="ca">carrer</lang> is': ["The ", CATALAN, "carrer", BASE, " is"],
    'The <voice name="M2">street</voice> is': ["The ", Style(voice="M2"), "street", BASE, " is"],
    '<voice name="M2 M1">A</voice>': [Style(voice="M2"), "A", BASE],
    '<voice name="M2, F3">A</voice>': [Style(voice="M2"), "A", BASE],
    '<voice name=" , M2,F3">A</voice>': [Style(voice="M2"), "A", BASE],
    '<voice name=",">A</voice>': ["A"],
    '<prosody rate="slow">A</prosody>': [Style(rate=0.8), "A", BASE],
    '<prosody rate="80%">A</prosody>': [Style(rate=0.8), "A", BASE],
    '<prosody rate="80 percent">A</prosody>': [Style(rate=0.8), "A", BASE],
    '<prosody rate="+50%">A</prosody>': [Style(rate=1.5), "A", BASE],
    '<prosody rate="-50%">A</prosody>': [Style(rate=0.5), "A", BASE],
    '<prosody rate="1.2">A</prosody>': [Style(rate=1.2), "A", BASE],
    '<prosody rate="-200%">A</prosody>': ["A"],
    '<prosody rate="quick" pitch="high">A</prosody>': ["A"],
    '<p xml:lang="ca">A.</p><p>B.</p>': ["\n", CATALAN, "A.\n", BASE, "\nB.\n"],
    '<lang xml:lang="ca">A <voice name="M2">B</lang> C</voice>.': [
        CATALAN, "A ", Style(voice="M2", language="ca"), "B", BASE, " C.",
    ],
    '<prosody rate="50%"><prosody rate="50%">A': [Style(rate=0.5), Style(rate=0.25), "A"],
    # Said otherwise.
    'The <sub alias="World Wide Web">WWW</sub>.': ["The ", ("WWW", "World Wide Web"), "."],
    '<sub alias="&quot;R and D&quot;">R&amp;D</sub>': [("R&D", '"R and D"')],
    "The <sub> WWW </sub>.": ["The  WWW ."],
    'The <sub alias=" . ">WWW</sub>.': ["The WWW."],
    'The <sub alias="x"/>WWW.': ["The WWW."],
    'The <sub alias="x">W<b>W</b>W</sub>.': ["The ", ("WWW", "x"), "."],
    'The <sub alias="x">WWW': ["The WWW"],
    'The <sub alias="x">W<break/>W</sub>.': ["The ", ("WW", "x"), "."],
    '<say-as interpret-as="telephone">600<break time="200ms"/>123</say-as>': [
        ("600", "6 0 0"), Pause(0.2), ("123", "1 2 3"),
    ],
    '<say-as interpret-as="Digits"><prosody rate="slow">47</prosody><b>1</b>1</say-as>': [
        Style(rate=0.8), ("47", "4 7"), BASE, ("11", "1 1"),
    ],
    '<prosody rate="slow">A <spell><prosody rate="50%">1</prosody></spell> B</prosody> C': [
        Style(rate=0.8), "A ", Style(rate=0.4), ("1", "1"), Style(rate=0.8), " B", BASE, " C",
    ],
    '<prosody rate="slow">A <sub alias="x"><prosody rate="50%">1</prosody></sub> B</prosody> C': [
        Style(rate=0.8), "A ", ("1", "x"), " B", BASE, " C",
    ],
    '<lang xml:lang="ca">A <say-as interpret-as="digits">12</lang> 3</say-as>': [
        CATALAN, "A ", ("12", "1 2"), BASE, " 3",
    ],
    '<prosody rate="80">A</prosody>': [Style(rate=0.8), "A", BASE],
    "<spell>Jose\u0301</spell>": [("Jose\u0301", "J o s e\u0301")],
    "<break time=\u20182s\u2019/>A": [Pause(2.0), "A"],
    '<say-as interpret-as="characters">B7X 2</say-as>': [("B7X 2", "B 7 X, 2")],
    "<spell>B7</spell>": [("B7", "B 7")],
    '<say-as interpret-as="digits">12, 34</say-as>': [("12, 34", "1 2 , 3 4")],
    '<say-as interpret-as="digits">12 34</say-as>': [("12 34", "1 2, 3 4")],
    '<say-as interpret-as="telephone">+34 600-123</say-as>': [("+34 600-123", "+ 3 4, 6 0 0, 1 2 3")],
    '<sub alias="a > b">X</sub>': [("X", "a > b")],
    "<sub alias=“World Wide Web”>WWW</sub>": [("WWW", "World Wide Web")],
    '<say-as interpret-as="characters">7, X</say-as>': [("7, X", "7 , X")],
    '<say-as interpret-as="date">1 May</say-as>': ["1 May"],
    # Lines.
    "<s>One</s><s>Two</s>": ["\nOne\n\nTwo\n"],
    "One<br/>two<hr>three<li>four": ["One\ntwo\nthree\nfour"],
    # Unknown, and not a tag at all.
    "<speak>One <b>two</b> <foo bar='1'>three</foo></speak>": ["One two three"],
    "<?xml version='1.0'?><!-- a note -->One": ["One"],
    'A <!-- note! Two, or more? Yes: one -->and<!----> B.': ["A and B."],
    '<!DOCTYPE speak PUBLIC "-//W3C//DTD" "https://www.w3.org/s.dtd"><speak>A</speak>': ["A"],
    "Hi <![CDATA[raw <b>text</b> &amp; more]]> x.": ["Hi raw <b>text</b> &amp; more x."],
    "a <! b, this <!important> and <? that, or -- so -->.": [
        "a <! b, this <!important> and <? that, or -- so -->.",
    ],
    "</lang>One</foo>": ["One"],
    "3 < 5, a<b, x <y and z> w, 5 <> 4, <3, <- and <": ["3 < 5, a<b, x <y and z> w, 5 <> 4, <3, <- and <"],
    "if x<s then": ["if x<s then"],
    "AT&amp;T &lt;break/&gt; &#8364; R&D & Q&A&nbsp;&eacute;": [
        "AT&T <break/> € R&D & Q&A\xa0&eacute;",
    ],
    # Broken off.
    'One <break time="500ms': ["One "],
    'One <break time="500ms and so on.': ["One  and so on."],
    "One <break and so on.": ["One  and so on."],
    "One <break and so> on.": ["One  and so> on."],
    "One <break time=500ms, and so on.": ["One  and so on."],
    'One <lang xml:lang="ca"': ["One "],
    "One <bold": ["One <bold"],
    # With a slip of the pen.
    'One <break time="500ms> and "so" on.': ["One ", Pause(0.5), ' and "so" on.'],
    'One <break time=“500ms> and so on.': ["One ", Pause(0.5), " and so on."],
    'One <break time="500ms/> Two': ["One ", Pause(0.5), " Two"],
    'The <lang="ca">carrer</lang> is': ["The ", CATALAN, "carrer", BASE, " is"],
    'The <lang xml:lang="ca>carrer</lang> is': ["The ", CATALAN, "carrer", BASE, " is"],
    '<lang xml:lang=\\"ca\\">A</lang> <break time=\\"1s\\"/>B': [CATALAN, "A", BASE, " ", Pause(1.0), "B"],
    '<lang xml:lang="ca", name="x">A': [CATALAN, "A"],
    '<lang xml:lang="ca"">A</lang,>.': [CATALAN, "A", BASE, "."],
    '<lang xml.lang="ca">A</lang>': [CATALAN, "A", BASE],
    "<lang ca>A< /lang>": [CATALAN, "A", BASE],
    '<lang xml:lang="">A': ["A"],
    '<lang x, y>A': ["A"],
    '<p class="a", xml:lang="ca">A': ["\n", CATALAN, "A"],
    '<voice="M2">A</voice>': [Style(voice="M2"), "A", BASE],
    "<voice name=M2;>A</voice>": [Style(voice="M2"), "A", BASE],
    "<voice M2>A <voice female>B": [Style(voice="M2"), "A B"],
    'One.<break="500ms"/>Two.': ["One.", Pause(0.5), "Two."],
    'One.<break="strong"/>Two.': ["One.", Pause(1.0), "Two."],
    'One.<break time="500ms" / >Two.': ["One.", Pause(0.5), "Two."],
    'One.<break time="500ms"/ >Two.<br/ >Three.': ["One.", Pause(0.5), "Two.\nThree."],
    "One.<break time=500 ms/>Two.": ["One.", Pause(0.5), "Two."],
    "One.<break time=`500ms`/>Two.": ["One.", Pause(0.5), "Two."],
    "One.<break time=''500ms''/>Two.": ["One.", Pause(0.5), "Two."],
    'One.<break time:"500ms"/>Two.': ["One.", Pause(0.5), "Two."],
    "One.<break 500ms/>Two.": ["One.", Pause(0.5), "Two."],
    "One.<break, 2 s/>Two.": ["One.", Pause(2.0), "Two."],
    "<prosody rate=slow, pitch=high>A": [Style(rate=0.8), "A"],
    "<sub alias=World Wide Web>WWW</sub>": [("WWW", "World Wide Web")],
    '<sub="World Wide Web">WWW</sub>': [("WWW", "World Wide Web")],
    "<sub alias='don't'>x</sub>.": [("x", "don't"), "."],
    '<sub alias="say "hi" & go">X</sub>': [("X", 'say "hi" & go')],
    '<say-as="digits">47</say-as>': [("47", "4 7")],
    '<a href=\\"https://example.com/a\\">One</a> <div class="a"">two': ["One \ntwo"],
    "a <b and c> d, x <s / 2>, <br, > and <voices, x>.": [
        "a <b and c> d, x <s / 2>, <br, > and <voices, x>.",
    ],
    f"One <break, {'so ' * 50}> on": [f"One , {'so ' * 50}> on"],
}  # fmt: skip


@each(("text", "expected"), PARSED.items())
def test_a_text_is_read_the_same_however_it_is_cut(text: str, expected: list[Said]) -> None:
    assert parsed(text) == expected
    assert parsed(*text) == expected
    for place in range(1, len(text)):
        assert parsed(text[:place], text[place:]) == expected


markup = st.lists(
    st.one_of(
        st.sampled_from(
            ["<", ">", "/", '"', "&", "&amp;", "=", "<!--", "-->", "<?", "\ud83d", "\ude00", " "]
        ),
        st.sampled_from(list(PARSED)),
        st.text(max_size=5),
    ),
    max_size=12,
).map("".join)


@given(markup, st.randoms(use_true_random=False))
def test_no_text_breaks_it_and_no_cut_changes_it(text: str, random: object) -> None:
    whole = parsed(text)
    assert parsed(*text) == whole
    assert parsed(text[: len(text) // 2], text[len(text) // 2 :]) == whole


@given(st.text(st.characters(exclude_characters="<&", exclude_categories=["Cs"])))
def test_text_without_tags_stays_as_it_is_and_is_never_held_back(text: str) -> None:
    parser = MarkupParser()
    assert [parser.push(char).text for char in text] == list(text)
    assert not parser.pending


def test_text_that_cannot_be_a_tag_is_held_back_no_longer_than_it_looks_like_one() -> None:
    parser = MarkupParser()
    assert parser.push("3 <").text == "3 "
    assert parser.push(" ").text == ""  # A tag that begins with a space is read, too.
    assert parser.push("5 and").text == "< 5 and"
    assert parser.push(' <break time="' + 60 * "long words ").text.endswith("words ")
    assert parser.push('<sub alias="x">' + 25 * "long words ").text.endswith(25 * "long words ")


def test_long_hostile_text_takes_little_time() -> None:
    for text in (
        '<a b="' * 3_000,
        '<a b=">c" ' * 3_000,
        "<a b=“" * 3_000,
        "<!--" * 3_000,
        "<a b=c " * 3_000,
        "&#1" * 3_000,
        "<" * 20_000,
        "<lang=" * 3_000,
        "<lang =\\" + " " * 20_000,
        "<a b=\\" * 3_000,
        "<sub alias=a b " * 3_000,
    ):
        parser = MarkupParser()
        for begin in range(0, len(text), 5):
            parser.push(text[begin : begin + 5])
        parser.end()


# Where the framework's chunker cuts


def test_a_number_that_the_frameworks_chunker_has_cut_is_whole_again() -> None:
    said = parsed('<sub alias="10:', "30 in all: 1,250.", '75">it</sub>.', sentences=True)
    assert said == [("it", "10:30 in all: 1,250.75"), "."]


BESIDE_TAGS = {
    "Hello <!-- secret comment --> world.": "Hello world.",
    "Hello <!-- secret, long comment! Of it? Yes. --> world. Bye.": "Hello world. Bye.",
    '<?xml version="1.0"?><speak>Hello.</speak>': "Hello.",
    '<!DOCTYPE speak PUBLIC "-//W3C//DTD SYNTHESIS 1.0//EN" "synthesis.dtd"><speak>Hi.</speak>': "Hi.",
    "Hi <![CDATA[raw! text]]> now.": "Hi raw! text now.",
    "Well, a <! b is no tag. It is 1 <? 2. Wow <!-- a --> so.": (
        "Well, a <! b is no tag. It is 1 <? 2. Wow so."
    ),
}


@each(("text", "expected"), BESIDE_TAGS.items())
def test_what_is_no_element_is_found_where_the_frameworks_chunker_cuts_it(text: str, expected: str) -> None:
    sentences = [piece.strip() for piece in BasicSentenceChunker(language="en").tokenize_raw(text)]
    assert len(sentences) > 1
    assert " ".join(written(*filter(None, sentences), sentences=True).split()) == expected
    assert without_markup(text) == expected


def test_a_tag_that_the_frameworks_chunker_has_cut_is_whole_again() -> None:
    # Measured with videosdk-agents 1.0.30: it cuts behind commas, colons and full stops, also in tags.
    sentences = [
        "Hello there.",
        '<break time="0.5s"/> The street is <lang xml:',
        'lang="ca">Carrer de Balmes,',
        '15</lang>, near you; ask <sub alias="Dr. Smith,',
        'the boss">Dr. S.',
        '</sub> for <break time="1,',
        '250ms"/>the price.',
    ]
    said = parsed(*sentences, sentences=True)
    assert [each for each in said if not isinstance(each, str)] == [
        Pause(0.5),
        CATALAN,
        BASE,
        ("Dr. S.", "Dr. Smith, the boss"),
        Pause(1.25),
    ]


CUT_REFERENCES = {
    "The company you are looking for is called AT&amp;|T today.": "AT&T today.",
    "The company you are looking for is called Tom &amp;|Jerry today.": "Tom & Jerry today.",
    "This is what is told about the famous D&#39;|Angelo today.": "D'Angelo today.",
    "If you want a pause, then write &lt;|break/&gt;|today.": "<break/> today.",
    "It is on our page www.example.com/?a=1&amp;|b=2": "?a=1&b=2",
}


@each(("text", "end"), CUT_REFERENCES.items())
def test_a_word_that_the_frameworks_chunker_has_cut_behind_a_reference_is_whole_again(
    text: str, end: str
) -> None:
    (request,) = spoken(*text.split("|"), sentences=True)
    assert str(request).endswith(end)


def test_a_long_tag_is_a_tag() -> None:
    assert parsed(f'See <a href="https://example.com/{"x" * 800}">this</a>.') == ["See this."]


# Requests


def requests_of(
    *chunks: str, sentences: bool = False, known: Chunks = Chunks.UNKNOWN
) -> list[RequestText | float]:
    """Return what is sent for some chunks, and the pauses between."""
    known = Chunks.SENTENCES if sentences else known
    parser, planner = MarkupParser(sentences=sentences), TextPlanner("en", chunks=known)
    for chunk in chunks:
        planner.push_marked(parser.push(chunk), pending=parser.pending)
    planner.push_marked(parser.end(), pending=False)
    planner.end()
    result: list[RequestText | float] = []
    while not planner.exhausted:
        if pause := planner.take_pause():
            result.append(pause)
        elif request := planner.next_request():
            result.append(request)
    return result


def spoken(*chunks: str, sentences: bool = False) -> list[str | float]:
    options = SpeechOptions()
    return [
        said if isinstance(said, float) else options.spoken(said).text
        for said in requests_of(*chunks, sentences=sentences)
    ]


def spoken_at_once(*chunks: str) -> list[str]:
    """Return what is sent for some tokens, each request as soon as it can be."""
    parser, planner, options = MarkupParser(), TextPlanner("en"), SpeechOptions()
    result: list[RequestText] = []
    for chunk in chunks:
        planner.push_marked(parser.push(chunk), pending=parser.pending)
        result += filter(None, [planner.next_request()])
        if planner.quiet_time is not None and not parser.pending:
            planner.release()
            result += filter(None, [planner.next_request()])
    planner.push_marked(parser.end(), pending=False)
    planner.end()
    while request := planner.next_request():
        result.append(request)
    return [options.spoken(request).text for request in result]


def written(*chunks: str, sentences: bool = False) -> str:
    """Return what the agent remembers."""
    options, text = SpeechOptions(), ""
    for said in requests_of(*chunks, sentences=sentences):
        if isinstance(said, RequestText):
            request = options.spoken(said)
            text = request.join(text, request.written)
    return text


REQUESTS: dict[str, list[str | float]] = {
    "One. <break/> Two.": ["One.", 0.75, "Two."],
    "<break/>One.<break/><break/>": [0.75, "One.", 1.5],
    "<break/>": [0.75],
    f"One.{'<break/>' * 50}Two.": ["One.", 10.0, "Two."],
    'One.<break time="8s"/>, <break time="8s"/>Two.': ["One.,", 10.0, "Two."],
    'One.<break time="8s"/>Two.<break time="8s"/>': ["One.", 8.0, "Two.", 8.0],
    'The street is <lang xml:lang="ca">Carrer de Balmes</lang>, not far.': [
        "The street is", "Carrer de Balmes,", "not far.",
    ],
    'Say "<lang xml:lang="ca">bon dia</lang>".': ["Say", '"bon dia".'],
    '"<break/>Hello."': [0.75, '"Hello."'],
    'We say<break/>"Hello" to you.': ["We say", 0.75, '"Hello" to you.'],
    "Half a w<voice name='M2'>or</voice>d.": ["Half a w", "or", "d."],
    "<voice name='M2'>One.</voice> <voice name='M2'>Two.</voice>": ["One.", "Two."],
    'The <sub alias="World Wide Web">WWW</sub> and <sub alias="Mister. X.">Mr. X.</sub> and more.': [
        "The World Wide Web and Mister. X. and more.",
    ],
    "<s>Menu</s><s>Coffee</s>": ["Menu\n\nCoffee"],
    "1 < 2 and 3 > 2.": ["1 < 2 and 3 > 2."],
    "It is <prosody rate='slow'>12</prosody>%.": ["It is", "12%."],
    "Get <prosody rate='slow'>12</prosody>% off.": ["Get", "12%", "off."],
    '5<break strength="none"/>then a turn<br/>then.': ["5 then a turn\nthen."],
    'Add 5<sub alias="kilos">kg</sub>of it.': ["Add 5 kilos of it."],
    '<sub alias="mister">Mr</sub><sub alias="ex">X</sub>.': ["mister ex."],
}  # fmt: skip


@each(("text", "expected"), REQUESTS.items())
def test_each_change_of_style_and_each_pause_parts_requests(text: str, expected: list[str | float]) -> None:
    assert spoken(text) == expected
    plain = "".join(said if isinstance(said, str) else said[0] for said in parsed(text)
                    if not isinstance(said, Pause | Style))  # fmt: skip
    assert "".join(written(text).split()) == "".join(plain.split())


MEMORIES = {
    "First line.<break/>Second line.": "First line. Second line.",
    'Wait<break/>, "<break/>please"<break/>.': 'Wait, "please".',
    "Yes, half a w<voice name='M2'>or</voice>d.": "Yes, half a word.",
    "A <b>list</b>:\n- one\n  - <i>two</i>\n\nEnd.": "A list:\n- one\n- two\n\nEnd.",
    "<s>Menu</s> <s>Coffee</s>": "Menu\n\nCoffee",
}


@each(("text", "memory"), MEMORIES.items())
def test_what_is_remembered_keeps_its_words_and_lines_apart(text: str, memory: str) -> None:
    assert without_markup(text) == memory
    assert written(text).split() == memory.split()


TOKENS = re.compile(r"\s?[^\s<>]+|\s|.")


@each("text", REQUESTS)
def test_what_was_written_comes_back_whole_from_tokens(text: str) -> None:
    assert " ".join(written(*TOKENS.findall(text)).split()) == " ".join(written(text).split())


def test_a_style_lasts_over_sentences_and_flushes_until_its_end() -> None:
    parser, planner = MarkupParser(), TextPlanner("en")
    for chunk in ("<voice name='M2'>One. ", "Two.", "</voice> Three."):
        planner.push_marked(parser.push(chunk), pending=parser.pending)
        planner.flush()
    planner.end()
    requests = [planner.next_request() for _ in range(3)]
    assert [(request.text, request.style.voice) for request in requests if request] == [
        ("One.", "M2"), ("Two.", "M2"), ("Three.", None),
    ]  # fmt: skip


UNITS = {
    'Ask <sub alias="Doctor Smith, the boss">Dr. S. Smith</sub> now.': ["Ask Doctor Smith, the boss now."],
    '<say-as interpret-as="telephone">+34-600.123 ext. 5</say-as> is it.': [
        "+ 3 4, 6 0 0, 1 2 3, ext, 5 is it."
    ],
    '<say-as interpret-as="characters">A. B. C</say-as> ok.': ["A . B . C ok."],
    '<sub alias="Yahoo Finance">Yahoo! Finance</sub> it is.': ["Yahoo Finance it is."],
    'Yes. The <sub alias="version two">v. 2.0! Beta</sub> is out.': ["Yes.", "The version two is out."],
    'It is <sub alias="Yahoo">Yahoo!</sub> that I mean.': ["It is Yahoo that I mean."],
    'Call <sub alias="the office">St. Paul Inc.</sub>. Bye.': ["Call the office.", "Bye."],
    'It ends. <sub alias="So it does.">Q. e. d.</sub> We go.': ["It ends.", "So it does.", "We go."],
    '<say-as interpret-as="date">1. May! 2026</say-as> it is.': ["1. May!", "2026 it is."],
}  # fmt: skip


@each(("text", "expected"), UNITS.items())
def test_what_is_said_otherwise_is_one_unit(text: str, expected: list[str]) -> None:
    assert spoken_at_once(*text) == expected
    assert spoken_at_once(*re.findall(r"\s*\w{1,5}|\s*[^\w\s]", text)) == expected


def test_no_line_without_marks_is_cut_inside_of_what_is_said_otherwise() -> None:
    text = f'{"some words " * 87}<sub alias="an alias">{"of another kind " * 12}</sub> and so on'
    assert sum(request.count("an alias") for request in spoken_at_once(text)) == 1


def test_nothing_is_cut_inside_of_what_is_said_otherwise() -> None:
    alias = "The first. The second. The third"
    replaced = f'<sub alias="{alias}">One. Two. Three. Four. Five. Six.</sub>'
    text = f"{'A long sentence of some words. ' * 32}{replaced}. End."
    requests = [each for each in requests_of(text) if isinstance(each, RequestText)]
    assert len(requests) > 1
    assert " ".join(SpeechOptions().spoken(request).text for request in requests).count(alias) == 1


def test_the_sentence_in_front_of_a_tag_that_is_not_complete_waits_for_it() -> None:
    parser, planner = MarkupParser(sentences=True), TextPlanner("en", chunks=Chunks.SENTENCES)
    planner.push_marked(parser.push('Ask for <sub alias="Doctor Smith,'), pending=parser.pending)
    assert planner.next_request() is None
    planner.push_marked(parser.push('the boss">Dr. S.</sub> please.'), pending=parser.pending)
    request = planner.next_request()
    assert request is not None
    assert SpeechOptions().spoken(request).text == "Ask for Doctor Smith, the boss please."


# Options


def test_a_style_changes_the_options_and_what_cannot_be_is_left() -> None:
    base = SpeechOptions(voice="F1", language="en", speed=1.0)
    assert base.styled(Style()) == base
    assert base.styled(Style("M2", "ca", 0.5)) == SpeechOptions(voice="M2", language="ca", speed=0.5)
    assert base.styled(Style(rate=9.0)).speed == 2.0
    assert base.styled(Style(rate=0.01)).speed == 0.5


@each(("tag", "language"), {"ca-ES": "ca", "EN": "en", "ru": None, "Catalan": None, "-": None}.items())
def test_a_language_that_cannot_be_spoken_changes_nothing(tag: str, language: str | None) -> None:
    assert find_listed(tag) == language
    parser = MarkupParser(find_language=find_listed)
    marked = parser.push(f'<lang xml:lang="ca">A <lang xml:lang="{tag}">B</lang> C</lang>')
    styles = [mark.language for _, mark in marked.marks if isinstance(mark, Style)]
    assert styles == (["ca", "en", "ca", None] if language == "en" else ["ca", None])


BORDERS = {
    'Ask nginx<sub alias="World Wide">WWW</sub> now.': "Ask engine x World Wide now.",
    'Ask <sub alias="World Wide">WWW</sub>nginx now.': "Ask World Wide engine x now.",
    'Ask nginx<say-as interpret-as="characters">AB</say-as>nginx.': "Ask engine x A B engine x.",
    "Ask nginx<b>WWW</b> now.": "Ask nginxWWW now.",
    'Ask our nginx <sub alias="World Wide">WWW</sub>. Yes.': "Ask our engine x World Wide. Yes.",
    'Ask <b>Mac</b><i x="y">Book</i> owners.': "Ask MacBook owners.",
}


@each(("text", "said"), BORDERS.items())
def test_what_is_said_otherwise_is_a_words_border_however_the_text_is_cut(text: str, said: str) -> None:
    options = SpeechOptions(pronunciations={"nginx": "engine x"})
    # Of the pairs a third, in which each place meets others at all distances.
    pairs = [pair for pair in combinations(range(1, len(text)), 2) if sum(pair) % 3 == 0]
    for places in [(), *combinations(range(1, len(text)), 1), *pairs]:
        chunks = [text[begin:end] for begin, end in pairwise([0, *places, len(text)])]
        for known in (Chunks.TOKENS, *[Chunks.UNKNOWN] * ("WWW</sub>" in text)):
            requests = requests_of(*chunks, known=known)
            spoken = [options.spoken(each).text for each in requests if isinstance(each, RequestText)]
            assert " ".join(spoken) == said, chunks


@each(
    ("sentences", "text"),
    [
        (["Ask Node<sub alias='World,", "Wide'>WWW</sub>hosts.", "Yes."], "Ask NodeWWWhosts. Yes."),
        (["Ask Node <sub alias='World,", "Wide'>WWW</sub> hosts.", "Yes."], "Ask Node WWW hosts. Yes."),
        (["See it now <b", ">or</b> never.", "Yes."], "See it now or never. Yes."),
        (["See it.", " <b", ">Now</b>.", "Yes."], "See it. Now. Yes."),
        (["One, two and <!-- three,", "perhaps --> four.", "Yes."], "One, two and four. Yes."),
        (["One and <b x='a,", "b'> ", "two.", "Yes."], "One and two. Yes."),
    ],
)
def test_where_the_chunker_cuts_inside_of_a_tag_the_text_has_no_edge(sentences: list[str], text: str) -> None:
    assert written(*sentences, sentences=True) == text


def test_a_pronunciation_does_not_reach_into_what_markup_says_otherwise() -> None:
    options = SpeechOptions(pronunciations={"SQL": "sequel", "my SQL": "mine"})
    (request,) = requests_of('The SQL <sub alias="S Q L">my SQL</sub> SQL.')
    assert isinstance(request, RequestText)
    text = options.spoken(request)
    assert text.text == "The sequel S Q L sequel."
    assert text.written == "The SQL my SQL SQL."
    assert text.written[text.to_written(text.text.rindex("sequel")) :] == "SQL."
