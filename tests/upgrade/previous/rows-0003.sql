-- What revision 0003 added, as a release that had it left it: a key, an owner with limits and what is
-- used of them. Frozen, and read after `rows-0002.sql`.

INSERT INTO darkroom.api_keys (id, owner, name, secret_hash, scopes, created_at, last_used_day)
VALUES ('00000000-0000-4000-8000-0000000000c1', 'shop', 'till 3',
        '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08', '["read", "submit"]',
        '2025-11-01 08:00:00.000000', '2025-11-01');

INSERT INTO darkroom.owners (name, max_per_second, max_queued, max_in_flight, max_calls_per_day, created_at)
VALUES ('shop', 5.0, 10000, 20, 1000, '2025-11-01 08:00:00.000000');

INSERT INTO darkroom.owner_calls (day, owner, calls) VALUES ('2025-11-01', 'shop', 17);
