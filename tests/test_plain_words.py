"""Everything that people read here is in plain technical English: no phrase of `RULES` is in the repository.

The rules are for readers whose first language is not English. Where a phrase is right all the same, the line is in
`ALLOWED`, with a reason.
"""

from __future__ import annotations

import io
import re
import tokenize
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer.main

from discomfort.cli.main import app
from discomfort.ir.codes import CODES

ROOT = Path(__file__).parents[1]

RULES: dict[str, str] = {
    r"t(?:old|ell|ells|elling)": "report, say, print; distinguish",
    r"(?<!there\s)(?:is|are|was|were|be|becomes) no(?= \w)(?! (?:longer|more|less|worse|better|larger|matter)\b)": (
        "is not a …"
    ),
    r"(?:no|some|every)body(?:'s)?(?: else)?": "name the program, process or user; unknown …",
    r"st(?:and(?!-ins?)|ands|anding|ood)": "is; represents, replaces",
    r"br(?:ing|ings|inging|ought)": "load, send, add, provide",
    r"bear|bears|bore": "handles at most …",
    r"let(?:s|ting)? go": "release",
    r"slips?": "misspelled, mistake",
    r"words": "text, message, terms",
    r"mend(?:s|ed|ing)?": "fix",
    r"w[ao]k(?:e|es|en|ing)|awake": "un-mute, un-bypass; start",
    r"in turns": "alternately",
    r"anew": "again",
    r"for certain": "reliably",
    r"for ever": "forever",
    r"beside": "besides (in addition to), next to (a place)",
    r"asked for": "requested",
    r"what (?:is|was) (?:known|given|found|asked|said)": "a noun: the inputs, the matches, the message",
    r"(?:the|all|every|each|no) (?:known|given|found|asked)(?= (?:is|are|of|and|that|which|to)\b|[.,;:)])": (
        "a noun: the node class, the inputs, the matches, the request"
    ),
    r"feeds? each other": "cycle in the graph",
    r"hand(?:s|ed|ing)? on": "pass on, forward",
    r"(?:is|are) said": "is reported",
    r"another \w+ than": "a different … from, not the … that",
    r"takes another type than comes": "expects X, but its link provides Y",
    r"without a word": "silently",
    r"defines? anew": "overwrite",
    r"is written with another type": "is written as X but read as Y",
    r"let us in": "access was denied",
}
"""Phrases that are not used, as regular expressions of whole words in any case, and what is used instead."""

ALLOWED: dict[tuple[str, str], str] = {
    ("discomfort/context/index/journal.py", "words"): "words of memory: eight bytes each",
    ("discomfort/context/index/journal.py", "HEADER WORDS"): "words of memory: eight bytes each",
    ("discomfort/context/index/index.py", "words"): "words of memory: eight bytes each",
    ("discomfort/context/values/xxh3.py", "words"): "words of a hash: eight bytes each",
    ("tests/runtime/pack/test_hostile_latents.py", "tell"): "a method of files",
}
"""Lines in which a phrase is right: (file, part of the line) → why."""

TOP = ("*.md", "*.py", "*.toml", "*.in", "*.txt", "Makefile", ".pre-commit-config.yaml", ".github/**/*.yml", ".ci/*")
FOLDERS = ("discomfort", "comfy_nodes", "docs", "examples", "benchmarks", "tests")
SUFFIXES = {".py", ".md", ".js", ".txt", ".toml", ".yml", ".yaml"}
SKIPPED = {
    "constraints.txt": "names and versions of packages",
    "tests/conformance/digests": "one digest a line",
    "tests/test_plain_words.py": "these rules themselves",
}

_RULES = {phrase: re.compile(rf"\b(?:{phrase})(?!\w)".replace(" ", r"\s+"), re.IGNORECASE) for phrase in RULES}


@dataclass(frozen=True)
class Run:
    """Text that is read in one go, over several lines; `name` is where it is."""

    name: str
    lines: tuple[tuple[int, str], ...]

    def problems(self) -> Iterator[str]:
        """Yield one line for each phrase in the text that is not allowed there."""
        text = "\n".join(line for _, line in self.lines)
        starts = [0]
        for _, line in self.lines:
            starts.append(starts[-1] + len(line) + 1)
        for phrase, pattern in _RULES.items():
            for match in pattern.finditer(text):
                number, line = self.lines[bisect_right(starts, match.start()) - 1]
                if not any(self.name == file and part in line for file, part in ALLOWED):
                    yield f"{self.name}:{number}: {' '.join(match[0].split())!r}; better: {RULES[phrase]}"


def prose_of_python(name: str, source: str) -> Iterator[Run]:
    """Yield comments and strings, those of neighbouring lines as one text, and names with spaces in them."""
    lines: list[tuple[int, str]] = []
    kind = 0
    names: dict[str, int] = {}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.NAME:
            names.setdefault(token.string, token.start[0])
        if token.type in (tokenize.NL, tokenize.INDENT, tokenize.DEDENT):
            continue
        is_string = token.type == tokenize.STRING or tokenize.tok_name[token.type].startswith("FSTRING")
        now = tokenize.COMMENT if token.type == tokenize.COMMENT else tokenize.STRING if is_string else 0
        if now != kind and lines:
            yield Run(name, tuple(lines))
            lines = []
        kind = now
        if now:
            text = token.string.strip("#") if now == tokenize.COMMENT else re.sub(r'^[a-zA-Z]*"+|"+$', "", token.string)
            lines += enumerate((part.strip() for part in text.splitlines()), token.start[0])
    for word, number in names.items():
        yield Run(name, ((number, re.sub(r"(?<=[a-z])(?=[A-Z])|_", " ", word).strip()),))


def files() -> Iterator[Path]:
    """Yield the files whose text people read."""
    for path in sorted({path for pattern in TOP for path in ROOT.glob(pattern) if path.is_file()}):
        yield path
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            is_schema = path.suffix == ".json" and path.parent.name == "schemas"
            if (path.suffix in SUFFIXES or is_schema) and "__pycache__" not in path.parts:
                yield path


FILES = [
    path for path in files() if not any(path.relative_to(ROOT).as_posix().startswith(skipped) for skipped in SKIPPED)
]


def runs(path: Path) -> Iterator[Run]:
    name, source = path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        yield from prose_of_python(name, source)
    else:
        yield Run(name, tuple(enumerate(source.splitlines(), 1)))


def test_files_are_in_plain_words() -> None:
    problems = [problem for path in FILES for run in runs(path) for problem in run.problems()]
    assert not problems, f"{len(problems)} phrases:\n" + "\n".join(problems)


def test_codes_are_in_plain_words() -> None:
    problems = [problem for code, entry in CODES.items() for problem in Run(code, ((1, entry.meaning),)).problems()]
    assert not problems, "\n".join(problems)


def help_texts() -> Iterator[tuple[str, str]]:
    """Yield the help of the command line: of each command, its options and its arguments."""
    waiting = [("discomfort-graph", typer.main.get_command(app))]
    for name, command in waiting:
        yield name, command.help or ""
        for parameter in command.params:
            yield f"{name} {parameter.name}", getattr(parameter, "help", None) or ""
        waiting += [(f"{name} {key}", part) for key, part in getattr(command, "commands", {}).items()]


def test_help_is_in_plain_words() -> None:
    texts = dict(help_texts())
    assert len(texts) > 20
    problems = [problem for name, text in texts.items() for problem in Run(name, ((1, text),)).problems()]
    assert not problems, "\n".join(problems)


def test_allowed_lines_are_still_there() -> None:
    for (file, part), reason in ALLOWED.items():
        assert reason
        source = (ROOT / file).read_text(encoding="utf-8").replace("_", " ")
        assert part in source, f"{file} has no line with {part!r} any more"


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("this is no plan", "is no"),
        ("this is\nno plan", "is no"),
        ("a class Nobody knows", "Nobody"),
        ("the user is told why", "told"),
        ("it lets go of the file", "lets go"),
        ("more than the given.", "the given"),
    ],
)
def test_a_phrase_is_reported_with_file_and_line(text: str, phrase: str) -> None:
    (problem,) = Run("page.md", tuple(enumerate(text.splitlines(), 7))).problems()
    assert problem.startswith(f"page.md:7: {phrase!r}; better: ")


@pytest.mark.parametrize(
    "text", ["it is no longer there", "there is no plan", "keywords", "a standard", "the given inputs"]
)
def test_other_text_is_not_reported(text: str) -> None:
    assert list(Run("page.md", ((1, text),)).problems()) == []


def test_strings_comments_and_names_of_python_are_read() -> None:
    source = (
        'def tell_it():\n    # nobody\n    # knows\n    x = ("this is "\n    "no plan")\n    return f"{x} stands"\n'
    )
    found = [problem.split(";")[0] for run in prose_of_python("a.py", source) for problem in run.problems()]
    assert found == ["a.py:2: 'nobody'", "a.py:4: 'is no'", "a.py:6: 'stands'", "a.py:1: 'tell'"]
