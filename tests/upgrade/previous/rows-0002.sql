-- What revision 0002 added, as a release that had it left it: a fleet that was told "too fast" and is
-- half-way back, and a day's calls. Frozen, like `rows.sql`, and read after it.

UPDATE darkroom.fleet SET share = 0.5, share_changed_at = '2025-11-01 08:29:00.000000';

INSERT INTO darkroom.daily_calls (day, calls) VALUES ('2025-11-01', 4711);
