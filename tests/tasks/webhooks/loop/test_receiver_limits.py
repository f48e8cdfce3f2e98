"""How many threads a receiver gets, and what slow and unknown ones leave for the others."""

from tasks.webhooks.loop.receiver_limits import (
    MOST_IN_RUN,
    QUICK_S,
    RUN_S,
    Key,
    ReceiverLimits,
    Run,
)

THREADS = 16


class Timed:
    """Limits whose clock a test sets."""

    def __init__(self, threads: int = THREADS) -> None:
        self.now_s = 1000.0
        self.limits = ReceiverLimits(threads, clock=lambda: self.now_s)

    def answered(self, key: Key, after_s: float) -> None:
        """Let a receiver answer an attempt."""
        run = self.limits.begin(key)
        self.now_s += after_s
        self.limits.answered(run)
        self.limits.end(run)

    def fill(self, name: str, count: int) -> list[Run]:
        """Begin to deliver to so many receivers, as far as each may be; return the threads."""
        keys = [("ada", f"{name}{number}") for number in range(count)]
        return [self.limits.begin(key) for key in keys if self.limits.allowed(key)]


SHOP = ("ada", "https://shop")


def test_a_receiver_gets_one_more_thread_for_each_quick_answer() -> None:
    """One at first, and half of all at most."""
    timed, allowed = Timed(), list[int]()
    for _ in range(10):
        allowed.append(timed.limits.allowed(SHOP))
        timed.answered(SHOP, 0.1)
    assert allowed == [1, 2, 3, 4, 5, 6, 7, 8, 8, 8]


def test_a_receiver_whose_answers_take_long_has_one_thread() -> None:
    """Other receivers of its owner have as many as they had."""
    timed = Timed()
    other = ("ada", "https://other")
    for key in (SHOP, other):
        for _ in range(3):
            timed.answered(key, 0.1)
    timed.answered(SHOP, QUICK_S + 0.1)
    assert (timed.limits.allowed(SHOP), timed.limits.allowed(other)) == (1, 4)
    timed.answered(SHOP, QUICK_S)
    assert timed.limits.allowed(SHOP) == 2


def test_the_same_receiver_of_another_owner_is_another_one() -> None:
    """An owner that makes it slow takes nothing from the others."""
    timed = Timed()
    timed.answered(SHOP, 0.1)
    timed.answered(("bob", SHOP[1]), QUICK_S * 2)
    assert timed.limits.allowed(SHOP) == 2


def test_slow_receivers_share_half_of_the_threads() -> None:
    """Any number of them; those never tried have another quarter, quick ones all that is left."""
    timed = Timed()
    for number in range(40):
        timed.answered(("ada", f"dead{number}"), QUICK_S * 2)
    timed.answered(SHOP, 0.1)
    assert len(timed.fill("dead", 40)) == THREADS // 2
    assert len(timed.fill("new", 40)) == THREADS // 4
    assert timed.limits.allowed(SHOP) == 2
    assert timed.limits.free == THREADS // 4


def test_a_receiver_that_does_not_answer_is_slow_while_it_is_waited_for() -> None:
    """Its class is known before its time limit."""
    timed = Timed()
    for number in range(40):
        timed.answered(("ada", f"dead{number}"), QUICK_S * 2)
    unknown = timed.fill("new", 8)
    assert len(unknown) == 8
    timed.now_s += QUICK_S + 0.1
    assert timed.fill("dead", 40) == []
    for run in unknown:
        timed.limits.end(run)
    assert len(timed.fill("dead", 40)) == THREADS // 2


def test_a_thread_makes_as_many_deliveries_as_are_quick_together() -> None:
    """One to a receiver that was never tried, or takes its time."""
    timed = Timed()
    assert timed.limits.deliveries_in_run(SHOP) == 1
    for latency_s, count in ((RUN_S / 4, 4), (0.0, MOST_IN_RUN), (RUN_S * 2, 1)):
        timed.answered(SHOP, latency_s)
        assert timed.limits.deliveries_in_run(SHOP) == count


def test_a_run_ends_when_its_answers_take_long_together() -> None:
    """The last attempt must begin long before the claims of the run expire."""
    timed = Timed()
    run = timed.limits.begin(SHOP)
    timed.now_s += 3600.0  # it was reserved, and begins only now
    timed.limits.begin_attempt(run)
    goes_on = []
    for _ in range(3):
        timed.now_s += QUICK_S * 0.4
        goes_on.append(timed.limits.answered(run))
    assert goes_on == [True, True, False]
    assert timed.limits.allowed(SHOP) == 3


def test_two_threads_are_enough_for_all_classes() -> None:
    """The least that the setting allows."""
    timed = Timed(threads=2)
    timed.answered(("ada", "dead0"), QUICK_S * 2)
    assert len(timed.fill("dead", 1)) == 1
    assert len(timed.fill("new", 2)) == 1
    assert timed.limits.free == 0


def test_waiting_for_threads_ends_when_the_time_is_over() -> None:
    """And at once if none is in use."""
    timed = Timed()
    assert timed.limits.wait_until_free(0)
    (run,) = timed.fill("one", 1)
    assert not timed.limits.wait_until_free(0.01)
    timed.limits.end(run)
    assert timed.limits.wait_until_free(0)
