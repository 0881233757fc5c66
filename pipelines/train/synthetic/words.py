"""Our own word lists, by name, from `words.txt`."""

from importlib.resources import files


def _read() -> dict[str, tuple[str, ...]]:
    """`name: one|two` per line; a line that begins with a blank continues the list above it."""
    lists: dict[str, tuple[str, ...]] = {}
    name = ""
    text = files(__package__).joinpath("words.txt").read_text(encoding="utf-8")
    for line in text.splitlines():
        if line and not line.startswith(" "):
            name, _, line = line.partition(":")
            lists[name] = ()
        lists[name] += tuple(word.strip().replace("\\n", "\n") for word in line.split("|") if word.strip())
    return lists


WORDS = _read()
