"""Python modules that an operator names: directories of .py files, and importable modules."""

import hashlib
import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

from schemas.errors import GleanerError


def modules(source: str, setting: str, error: type[GleanerError]) -> Iterator[ModuleType]:
    """The module of this name, or the package of this directory, and those below it but for `_private` ones.

    Raises:
        error: one of them cannot be imported; it names the setting that they come from.
    """
    importlib.invalidate_caches()
    directory = Path(source).expanduser()
    is_directory = directory.is_dir()
    root = (
        _package_of(directory.resolve(), setting) if is_directory else _import(source, source, setting, error)
    )
    yield root
    for info in pkgutil.iter_modules(getattr(root, "__path__", ())):
        if not info.name.startswith("_"):
            place = directory / f"{info.name}.py" if is_directory else f"{source}.{info.name}"
            yield _import(f"{root.__name__}.{info.name}", str(place), setting, error)


def _package_of(directory: Path, setting: str) -> ModuleType:
    """A directory of Python files as a package, so that they may import each other with `from . import`."""
    # the path is in the name, so that two directories may both hold a contract.py
    name = f"{setting.lower()}_{hashlib.sha256(str(directory).encode()).hexdigest()[:8]}"
    if name not in sys.modules:
        spec = ModuleSpec(name, None, is_package=True)
        spec.submodule_search_locations = [str(directory)]
        sys.modules[name] = importlib.util.module_from_spec(spec)
    return sys.modules[name]


def _import(name: str, place: str, setting: str, error: type[GleanerError]) -> ModuleType:
    try:
        return importlib.import_module(name)
    except GleanerError:
        raise
    except Exception as exc:
        raise error(
            f"{place} cannot be imported: {type(exc).__name__}: {exc}.",
            hint=f"{setting} takes directories of Python files and importable modules.",
        ) from exc
