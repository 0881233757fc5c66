"""What random schemas are about: the fields of `domains.txt`, with their names, labels and phrases."""

from dataclasses import dataclass, replace
from importlib.resources import files
from zlib import crc32

from pipelines.train.synthetic.words import WORDS


@dataclass(frozen=True, kw_only=True)
class Concept:
    """Something a document may say, by all the names it goes by."""

    # "one", "list", "rows" or "group"
    shape: str
    # how its value is drawn: `person`, `int 1-9`, `choice`, ...; empty for rows and groups
    spec: str
    names: tuple[str, ...]
    labels: tuple[str, ...]
    phrases: tuple[str, ...] = ()
    # of a choice or flag: value and wordings
    choices: tuple[tuple[str, tuple[str, ...]], ...] = ()
    # the choice that stands for "not said"
    otherwise: str | None = None
    # of rows and groups
    parts: tuple["Concept", ...] = ()


@dataclass(frozen=True)
class Domain:
    """A matter that documents are about."""

    name: str
    titles: tuple[str, ...]
    concepts: tuple[Concept, ...]
    # for the eval split only
    is_held_back: bool


def spelt_out(name: str) -> str:
    """`move_in_date` as `Move in date`."""
    return name.replace("_", " ").capitalize()


def _read() -> tuple[Domain, ...]:
    domains: list[tuple[str, tuple[str, ...], list[Concept]]] = []
    for line in files(__package__).joinpath("domains.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            name, _, titles = line[1:].partition("] ")
            domains.append((name, _split(titles, ";"), []))
        elif line and not line.startswith("#"):
            domains[-1][2].append(_concept(line))
    return tuple(
        Domain(name.rstrip("*"), titles, tuple(concepts), name.endswith("*"))
        for name, titles, concepts in domains
    )


def _concept(line: str) -> Concept:
    kind, _, rest = line.partition(":")
    names, labels, last = (*(part.strip() for part in rest.split("|")), "", "")[:3]
    concept = Concept(
        shape="one", spec=kind, names=tuple(names.split()), labels=_labels(names.split(), _split(labels, ";"))
    )
    if kind == "choice":
        choices, otherwise = _choices(last)
        return replace(concept, choices=choices, otherwise=otherwise)
    if kind == "bool":
        yes, no = (_split(wording, ",") for wording in last.split(";"))
        return replace(concept, choices=(("true", yes), ("false", no)))
    if kind in ("rows", "group"):
        return replace(concept, shape=kind, spec="", parts=tuple(map(_part, _split(last, ";"))))
    shape = "list" if kind.startswith("list ") else "one"
    return replace(concept, shape=shape, spec=kind.removeprefix("list "), phrases=_split(last, ";"))


def _part(text: str) -> Concept:
    spec, *names = text.split()
    return Concept(shape="one", spec=spec, names=tuple(names), labels=_labels(names, ()))


def _choices(text: str) -> tuple[tuple[tuple[str, tuple[str, ...]], ...], str | None]:
    pairs = [part.partition("=") for part in _split(text, ";")]
    otherwise = next((value for value, _, wording in pairs if wording == "?"), None)
    choices = tuple((value, _wordings(wording)) for value, _, wording in pairs if wording != "?")
    return choices, otherwise


def _wordings(text: str) -> tuple[str, ...]:
    """Ways to say a choice: those that are named, or those of a word list."""
    if text.startswith("@"):
        return tuple(wording.replace("{it}", "it") for wording in WORDS[text[1:]])
    return _split(text, ",")


def _labels(names: list[str], labels: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*map(spelt_out, names), *labels)))


def _split(text: str, mark: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(mark) if part.strip())


DOMAINS = _read()


def _held_back_names() -> frozenset[str]:
    """One field name in six, but for those a concept is mainly known by."""
    every = [concept for domain in DOMAINS for whole in domain.concepts for concept in (whole, *whole.parts)]
    first = {concept.names[0] for concept in every}
    return frozenset(
        name
        for concept in every
        for name in concept.names
        if name not in first and crc32(name.encode()) % 6 == 0
    )


# field names for the eval split only
HELD_BACK_NAMES = _held_back_names()
