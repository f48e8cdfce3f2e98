"""Two contenders that are measured in turns are compared under the same conditions."""

from benchmarks.readings.reading import Reading, in_turns


def test_a_machine_that_slows_down_steadily_changes_both_means_alike() -> None:
    """Each of four measurements takes a second longer than the one before."""
    order: list[str] = []

    def measured(name: str) -> Reading:
        order.append(name)
        return Reading("figure", name, {"s": float(len(order))})

    found = list(in_turns(lambda: measured("a"), lambda: measured("b")))
    assert order == ["a", "b", "b", "a"]
    assert found == [Reading("figure", name, {"s": 2.5}) for name in ("a", "b")]
