"""Print every benchmark: ``python -m benchmarks [name ...]``."""

from __future__ import annotations

import importlib
import pkgutil
import sys

import benchmarks


def main(names: list[str]) -> None:
    """Run the named benchmarks, or all of them, one after the other, and print the results."""
    known = sorted(m.name for m in pkgutil.iter_modules(benchmarks.__path__) if not m.name.startswith("_"))
    unknown = set(names) - set(known)
    if unknown:
        raise SystemExit(f"no benchmark named {', '.join(sorted(unknown))}; known: {', '.join(known)}")
    for name in names or known:
        module = importlib.import_module(f"benchmarks.{name}")
        print(f"\n{name}: {module.__doc__.splitlines()[0]}", flush=True)
        for key, value in module.run().items():
            print(f"  {key:<44} {value}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
