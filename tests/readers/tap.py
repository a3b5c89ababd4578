"""Prints test results as tests/run reads them."""
import sys
import traceback

_count = _failed = 0


def case(name, function):
    """Runs function() as one test; an exception fails it, and its text is printed."""
    global _count, _failed
    _count += 1
    try:
        function()
    except Exception:  # any of them is this test's failure, and the next test runs all the same
        _failed += 1
        for line in traceback.format_exc().splitlines():
            print(f"# {line}")
        print(f"not ok {_count} - {name}", flush=True)
    else:
        print(f"ok {_count} - {name}", flush=True)


def skip(name, why):
    global _count
    _count += 1
    print(f"ok {_count} - {name} # SKIP {why}", flush=True)


def done():
    sys.exit(1 if _failed or not _count else 0)
