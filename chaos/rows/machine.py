"""Faults of the whole machine: all processes die at the same moment and start again."""

from chaos.stage import Stage

__all__ = ["machine_killed"]


def machine_killed(stage: Stage) -> None:
    """Kill workers, broker and database together and start them again."""
    ground = stage.ground
    fleet = stage.make_fleet(**stage.scale.short_lease)
    stage.load()
    workers = fleet.start(2)
    stage.wait_for_load()
    stage.fault_begins()
    for worker in workers:
        worker.kill()
    ground.redis.kill()
    ground.postgres.kill()
    ground.postgres.start()
    ground.redis.start()
    # Read from the rows, because a number read before the kill would be out of date.
    in_flight = sum(len(fleet.held_at_death(worker, "running")) for worker in workers)
    stage.fault_ends()
    fleet.start(2)
    stage.recovered(lambda: not any(fleet.held_by(worker, "running") for worker in workers))
    found = stage.finish()
    stage.all_succeed(found)
    extra = found.charged - len(stage.accepted)
    stage.must("extra calls are at most those in flight", kept=extra <= in_flight, found=extra)
    stage.must("each is counted as unknown", kept=found.unknown >= extra, found=found.unknown)
