-- What revision 0004 added, as a release that had it left it: a delivery that waits, one that has been made, what is left of a job
-- that was forgotten, an owner that reuses images. Frozen, and read after `rows-0003.sql`.

INSERT INTO darkroom.deliveries (id, owner, event, job_id, target, state, attempts, body, last_status, created_at, ended_at)
VALUES ('00000000-0000-4000-8000-0000000000d1', 'shop', 'job.succeeded', '00000000-0000-4000-8000-000000000007',
        'https://receiver.invalid/hook', 'delivered', 2, '{"type": "job.succeeded"}', 200,
        '2025-11-01 08:25:00.000000', '2025-11-01 08:25:09.000000');

INSERT INTO darkroom.delivery_attempts (delivery_id, number, ended_at, latency_ms, status)
VALUES ('00000000-0000-4000-8000-0000000000d1', 2, '2025-11-01 08:25:09.000000', 31, 200);

INSERT INTO darkroom.tombstones (id, owner, status, simulated, attempts, calls_made, accepted_at, ended_at, forgotten_at)
VALUES ('00000000-0000-4000-8000-0000000000e1', 'shop', 'succeeded', false, 1, 1,
        '2025-11-01 08:00:00.000000', '2025-11-01 08:01:00.000000', '2025-11-01 09:00:00.000000');

INSERT INTO darkroom.owner_defaults (owner, reuse) VALUES ('gallery', true);

INSERT INTO darkroom.workers (id, host, pid, version, concurrency, started_at, lease_until)
VALUES ('00000000-0000-4000-8000-0000000000a2', 'harbour-2', 4712, '0.1.0', 16,
        '2025-11-01 08:00:00.000000', '2025-11-01 08:31:00.000000');
