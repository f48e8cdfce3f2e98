-- Rows as release 0.1.0 left them, on the schema of revision 0001. Frozen: a later release does not
-- edit this file, it adds one of its own. On SQLite `darkroom.` is read as `darkroom_`.

INSERT INTO darkroom.workers (id, host, pid, version, concurrency, started_at, lease_until)
VALUES ('00000000-0000-4000-8000-0000000000a1', 'harbour-1', 4711, '0.1.0', 16,
        '2025-11-01 08:00:00.000000', '2025-11-01 08:31:00.000000');

INSERT INTO darkroom.leaders (name, holder, since, until)
VALUES ('dispatcher', '00000000-0000-4000-8000-0000000000a1',
        '2025-11-01 08:00:00.000000', '2025-11-01 08:31:00.000000');

INSERT INTO darkroom.batches (id, owner, key, request_hash, name, total, succeeded, created_at, opened_at)
VALUES ('00000000-0000-4000-8000-0000000000b1', 'shop', 'autumn', 'b1b1', 'autumn.jsonl', 4, 1,
        '2025-11-01 08:10:00.000000', '2025-11-01 08:10:01.000000');

INSERT INTO darkroom.batches (id, owner, created_at)
VALUES ('00000000-0000-4000-8000-0000000000b2', 'shop', '2099-01-01 00:00:00.000000');

INSERT INTO darkroom.batch_deltas (batch_id, failed)
VALUES ('00000000-0000-4000-8000-0000000000b1', 1);

-- 01: queued, never sent out.
INSERT INTO darkroom.jobs (id, stream, owner, request_hash, request, accepted_at)
VALUES ('00000000-0000-4000-8000-000000000001', 'e462270c-c6c1-57d2-9ef5-da18cc3fa147', 'default',
        'h01', '{"prompt": "frozen harbour 01", "width": 64, "height": 64, "seed": 101}',
        '2025-11-01 08:20:00.000000');

-- 02: queued, sent out, the message lost; with an idempotency key and metadata.
INSERT INTO darkroom.jobs (id, stream, owner, idempotency_key, request_hash, request, metadata,
                           accepted_at, dispatched_at)
VALUES ('00000000-0000-4000-8000-000000000002', '8a8fa72b-3ebe-566b-9395-bfe151d2df60', 'shop',
        'order-4711-cover', 'h02',
        '{"prompt": "frozen harbour 02", "width": 64, "height": 64, "seed": 102}', '{"sku": 7}',
        '2025-11-01 08:20:01.000000', '2025-11-01 08:30:00.000000');

-- 03: queued again after an answer 500.
INSERT INTO darkroom.jobs (id, stream, owner, request_hash, request, accepted_at, fence, attempts,
                           not_before, error_code, error_message, error_whose)
VALUES ('00000000-0000-4000-8000-000000000003', 'e462270c-c6c1-57d2-9ef5-da18cc3fa147', 'default',
        'h03', '{"prompt": "frozen harbour 03", "width": 64, "height": 64, "seed": 103}',
        '2025-11-01 08:20:02.000000', 1, 1, '2025-11-01 08:30:05.000000',
        'HTTP_500', 'the API answered 500', 'api');

-- 04: running when its worker died.
INSERT INTO darkroom.jobs (id, stream, owner, request_hash, request, accepted_at, status, fence,
                           attempts, calls_made, worker_id, claim_token, call_deadline, first_call_at)
VALUES ('00000000-0000-4000-8000-000000000004', 'e462270c-c6c1-57d2-9ef5-da18cc3fa147', 'default',
        'h04', '{"prompt": "frozen harbour 04", "width": 64, "height": 64, "seed": 104}',
        '2025-11-01 08:20:03.000000', 'running', 1, 1, 1, '00000000-0000-4000-8000-0000000000a1',
        '00000000-0000-4000-8000-0000000000c4', '2025-11-01 08:32:30.000000',
        '2025-11-01 08:30:30.000000');

-- 05: storing when its worker died; the image is in that worker's spool.
INSERT INTO darkroom.jobs (id, stream, owner, request_hash, request, accepted_at, status, fence,
                           attempts, calls_made, worker_id, claim_token, first_call_at,
                           image_in_hand_at, images)
VALUES ('00000000-0000-4000-8000-000000000005', 'e462270c-c6c1-57d2-9ef5-da18cc3fa147', 'default',
        'h05', '{"prompt": "frozen harbour 05", "width": 64, "height": 64, "seed": 105}',
        '2025-11-01 08:20:04.000000', 'storing', 1, 1, 1, '00000000-0000-4000-8000-0000000000a1',
        '00000000-0000-4000-8000-0000000000c5', '2025-11-01 08:30:31.000000',
        '2025-11-01 08:30:40.000000',
        '[{"index": 0, "key": "darkroom/images/00000000-0000-4000-8000-000000000005/1-0.png", "sha256": "5408e7bf60f6cb2edc07f4b0e1607b289bb230e28ec238d09ecbd684e940991d", "size_bytes": 138, "width": 64, "height": 64}]');

-- 06: failed, as two calls ended without anybody learning their outcome.
INSERT INTO darkroom.jobs (id, stream, owner, request_hash, request, accepted_at, status, fence,
                           attempts, calls_made, calls_unknown, first_call_at, ended_at,
                           error_code, error_message, error_whose)
VALUES ('00000000-0000-4000-8000-000000000006', 'e462270c-c6c1-57d2-9ef5-da18cc3fa147', 'default',
        'h06', '{"prompt": "frozen harbour 06", "width": 64, "height": 64, "seed": 106}',
        '2025-11-01 08:20:05.000000', 'failed', 2, 2, 2, 2, '2025-11-01 08:21:00.000000',
        '2025-11-01 08:25:00.000000', 'OUTCOME_UNKNOWN',
        'no answer within 120 s (TIMEOUT); the call may have been charged', 'api');

-- 07: succeeded long ago.
INSERT INTO darkroom.jobs (id, stream, owner, request_hash, request, accepted_at, status, fence,
                           attempts, calls_made, first_call_at, image_in_hand_at, ended_at, images)
VALUES ('00000000-0000-4000-8000-000000000007', 'e462270c-c6c1-57d2-9ef5-da18cc3fa147', 'default',
        'h07', '{"prompt": "frozen harbour 07", "width": 64, "height": 64, "seed": 107}',
        '2025-11-01 08:20:06.000000', 'succeeded', 1, 1, 1, '2025-11-01 08:21:00.000000',
        '2025-11-01 08:21:08.000000', '2025-11-01 08:21:09.000000',
        '[{"index": 0, "key": "darkroom/images/00000000-0000-4000-8000-000000000007/1-0.png", "sha256": "0707070707070707070707070707070707070707070707070707070707070707", "size_bytes": 700, "width": 64, "height": 64}]');

-- 11 to 14: a batch half done: one succeeded (counted), one failed (told, not counted yet), two wait.
INSERT INTO darkroom.jobs (id, batch_id, stream, owner, request_hash, request, accepted_at, status,
                           fence, attempts, calls_made, first_call_at, image_in_hand_at, ended_at, images)
VALUES ('00000000-0000-4000-8000-000000000011', '00000000-0000-4000-8000-0000000000b1',
        '00000000-0000-4000-8000-0000000000b1', 'shop', 'h11',
        '{"prompt": "frozen harbour 11", "width": 64, "height": 64, "seed": 111}',
        '2025-11-01 08:10:00.000000', 'succeeded', 1, 1, 1, '2025-11-01 08:21:00.000000',
        '2025-11-01 08:21:08.000000', '2025-11-01 08:21:09.000000',
        '[{"index": 0, "key": "darkroom/images/00000000-0000-4000-8000-000000000011/1-0.png", "sha256": "1111111111111111111111111111111111111111111111111111111111111111", "size_bytes": 700, "width": 64, "height": 64}]');

INSERT INTO darkroom.jobs (id, batch_id, stream, owner, request_hash, request, accepted_at, status,
                           fence, attempts, first_call_at, ended_at, error_code, error_message, error_whose)
VALUES ('00000000-0000-4000-8000-000000000012', '00000000-0000-4000-8000-0000000000b1',
        '00000000-0000-4000-8000-0000000000b1', 'shop', 'h12',
        '{"prompt": "frozen harbour 12", "width": 64, "height": 64, "seed": 112}',
        '2025-11-01 08:10:00.000000', 'failed', 1, 1, NULL, '2025-11-01 08:21:00.000000',
        'PROMPT_UNSAFE', 'the prompt was refused', 'request');

INSERT INTO darkroom.jobs (id, batch_id, stream, owner, request_hash, request, accepted_at)
VALUES ('00000000-0000-4000-8000-000000000013', '00000000-0000-4000-8000-0000000000b1',
        '00000000-0000-4000-8000-0000000000b1', 'shop', 'h13',
        '{"prompt": "frozen harbour 13", "width": 64, "height": 64, "seed": 113}',
        '2025-11-01 08:10:00.000000'),
       ('00000000-0000-4000-8000-000000000014', '00000000-0000-4000-8000-0000000000b1',
        '00000000-0000-4000-8000-0000000000b1', 'shop', 'h14',
        '{"prompt": "frozen harbour 14", "width": 64, "height": 64, "seed": 114}',
        '2025-11-01 08:10:00.000000');

-- 21: of a batch whose load has not ended: nobody may see or call it.
INSERT INTO darkroom.jobs (id, batch_id, stream, owner, request_hash, request, accepted_at)
VALUES ('00000000-0000-4000-8000-000000000021', '00000000-0000-4000-8000-0000000000b2',
        '00000000-0000-4000-8000-0000000000b2', 'shop', 'h21',
        '{"prompt": "frozen harbour 21", "width": 64, "height": 64, "seed": 121}',
        '2025-11-01 08:29:00.000000');
