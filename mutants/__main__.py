"""`python -m mutants`: plant bugs and list those that no test noticed."""

import argparse
import queue
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from pathlib import Path

from mutants.draw import Mutant, draw, mutate
from mutants.plan import Plan, changed_lines
from mutants.report import Finding, report, survivors_share
from mutants.trial import Copy, Outcome

ROOT = Path(__file__).parents[1]

#: A run with a larger share of survivors fails.
MAX_SURVIVORS_SHARE = 0.10

#: A mutant may take this many times what the same tests take without it, plus some seconds.
PATIENCE, PATIENCE_S = 4.0, 30.0


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mutants",
        description="Plants small bugs in the core and runs the nearest tests on each.",
        epilog="example: make mutants ARGS='--count 40 --files storage/jobs/claim.py'",
    )
    add = parser.add_argument
    add("--seed", type=int, default=1, metavar="N", help="what is drawn (default: %(default)s)")
    add("--count", type=int, default=300, metavar="N", help="mutants (default: %(default)s)")
    add("--files", nargs="+", metavar="FILE", help="draw from these files only")
    add("--at-once", type=int, default=2, metavar="N", help="trials side by side (default: 2)")
    add("--python", type=Path, default=ROOT / ".venv/bin/python", help="the tests' interpreter")
    return parser


class Copies:
    """Copies of the project, each used by one trial at a time.

    Args:
        copies: all copies.
    """

    def __init__(self, copies: Sequence[Copy]) -> None:
        self._free: queue.SimpleQueue[Copy] = queue.SimpleQueue()
        for copy in copies:
            self._free.put(copy)

    @contextmanager
    def one(self) -> Iterator[Copy]:
        """Lend a copy."""
        copy = self._free.get()
        try:
            yield copy
        finally:
            self._free.put(copy)


class Run:
    """Try mutants, after running the tests without any.

    Args:
        plan: the nearest tests of each file.
        copies: the copies in which bugs are planted.
    """

    def __init__(self, plan: Plan, copies: Copies) -> None:
        self._plan = plan
        self._copies = copies
        self._usual_s: dict[tuple[str, ...], float] = {}
        self._first = threading.Lock()

    def try_one(self, mutant: Mutant) -> Finding:
        """Plant one and run its nearest tests."""
        source = (ROOT / mutant.file).read_text(encoding="utf-8")
        mutated = mutate(source, mutant)
        before, after = changed_lines(source, mutated)
        reason = self._plan.why_left_out(mutant.file, before, after)
        if reason is not None:
            return Finding(mutant.file, mutant.line, before, after, None, reason)
        tests = tuple(self._plan.nearest[mutant.file])
        limit_s = PATIENCE * self._without(tests) + PATIENCE_S
        with self._copies.one() as copy:
            trial = copy.try_mutant(mutant.file, mutated, tests, limit_s=limit_s)
        return Finding(mutant.file, mutant.line, before, after, trial.outcome)

    def _without(self, tests: tuple[str, ...]) -> float:
        """Return the seconds that the tests take without a bug; they must pass then."""
        with self._first:
            if tests not in self._usual_s:
                with self._copies.one() as copy:
                    trial = copy.run(tests, limit_s=600)
                if trial.outcome is not Outcome.SURVIVED:
                    raise SystemExit(f"mutants: without any bug these fail: {' '.join(tests)}")
                self._usual_s[tests] = trial.took_s
            return self._usual_s[tests]


def main(argv: Sequence[str] | None = None) -> int:
    """Draw, try and report; return 1 if too many survived, else 0."""
    args = _arguments().parse_args(argv)
    plan = Plan.read()
    files = args.files or list(plan.nearest)
    if unknown := sorted(set(files) - set(plan.nearest)):
        sys.stderr.write(f"mutants: mutants/nearest.toml names no tests for {unknown[0]}\n")
        return 2
    mutants = draw(ROOT, files, args.count, args.seed)
    findings: list[Finding] = []
    with ExitStack() as stack:
        folders = [
            Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mutants-")))
            for _ in range(args.at_once)
        ]
        run = Run(plan, Copies([Copy(ROOT, folder, args.python) for folder in folders]))
        pool = stack.enter_context(ThreadPoolExecutor(args.at_once))
        for future in as_completed([pool.submit(run.try_one, mutant) for mutant in mutants]):
            findings.append(future.result())
            _report(findings[-1], len(findings), len(mutants))
    sys.stdout.write(f"\nseed {args.seed}\n\n{report(findings)}\n")
    return 1 if survivors_share(findings) > MAX_SURVIVORS_SHARE else 0


def _report(finding: Finding, done: int, count: int) -> None:
    """Print a line as soon as a mutant is done, because a run takes long."""
    outcome = finding.outcome.value if finding.outcome else "equivalent"
    sys.stderr.write(f"{done}/{count} {outcome}: {finding.file}:{finding.line}\n")
    if finding.outcome is Outcome.SURVIVED:
        sys.stderr.write(f"    - {finding.before}\n    + {finding.after}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
