-- Every fixed statement of the SQLite store. `-- name:` names it, the comment below says what it is for.

-- name: tick
-- Number a write.
UPDATE clock SET now = now + 1 RETURNING now;

-- name: find_app
SELECT id FROM app WHERE name = ?;

-- name: add_app
INSERT INTO app (name) VALUES (?) RETURNING id;

-- name: find_trace
SELECT id, chunks, spans, fresh FROM trace WHERE app = ? AND trace_id = ?;

-- name: add_trace
INSERT INTO trace (app, trace_id, chunks, spans) VALUES (?, ?, 1, ?) RETURNING id;

-- name: count_trace
UPDATE trace SET chunks = ?, spans = ?, fresh = ? WHERE id = ?;

-- name: mark_stale
INSERT OR IGNORE INTO stale_trace (trace, app) VALUES (?, ?);

-- name: unmark_stale
DELETE FROM stale_trace WHERE trace = ?;

-- name: stale_traces
SELECT id, trace_id FROM stale_trace JOIN trace ON trace.id = stale_trace.trace WHERE stale_trace.app = ?;

-- name: apps_with_stale_traces
SELECT DISTINCT name FROM stale_trace JOIN app ON app.id = stale_trace.app;

-- name: all_traces
SELECT id, app, trace_id FROM trace WHERE id > ? ORDER BY id LIMIT 100;

-- name: delete_trace
DELETE FROM trace WHERE id = ?;

-- name: find_origin
SELECT id FROM origin WHERE content = ?;

-- name: add_origin
INSERT INTO origin (content) VALUES (?) RETURNING id;

-- name: origin
SELECT content FROM origin WHERE id = ?;

-- name: find_context
SELECT id FROM context WHERE content = ?;

-- name: add_context
INSERT INTO context (content) VALUES (?) RETURNING id;

-- name: context
SELECT content FROM context WHERE id = ?;

-- name: put_chunk
INSERT INTO chunk (id, content) VALUES (?, ?);

-- name: chunk
SELECT content FROM chunk WHERE id = ?;

-- name: delete_chunks
-- All chunks of a trace: they lie between two ids.
DELETE FROM chunk WHERE id >= ? AND id < ?;

-- name: spans_of_trace
-- In the order of the columns that rows.py reads.
SELECT span_id, parent_id, name, start, "end", status, kind, role, input_tokens, output_tokens, cached_tokens,
  cache_write_tokens, reasoning_tokens, cost, cost_stated, provider, model, response_id, agent, trace_name, input,
  output, context, origin, chunk, place, attribute_count
FROM span WHERE trace = ?;

-- name: span_of_trace
-- One of `spans_of_trace`.
SELECT span_id, parent_id, name, start, "end", status, kind, role, input_tokens, output_tokens, cached_tokens,
  cache_write_tokens, reasoning_tokens, cost, cost_stated, provider, model, response_id, agent, trace_name, input,
  output, context, origin, chunk, place, attribute_count
FROM span WHERE trace = ? AND span_id = ?;

-- name: kept_of_trace
SELECT origin, chunk, place, attribute_count FROM span WHERE trace = ?;

-- name: put_span
INSERT OR REPLACE INTO span VALUES (
  ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?
);

-- name: delete_span
DELETE FROM span WHERE trace = ? AND span_id = ?;

-- name: count_spans
SELECT count(*) FROM span JOIN trace ON trace.id = span.trace JOIN app ON app.id = trace.app WHERE app.name = ?;

-- name: count_all_spans
SELECT count(*) FROM span;

-- name: parts_of_trace
SELECT session, content FROM part WHERE trace = ?;

-- name: parts_of_session
SELECT content FROM part WHERE session = ?;

-- name: traces_of_session
SELECT trace, trace_id FROM part WHERE session = ?;

-- name: put_part
INSERT OR REPLACE INTO part (trace, session, trace_id, start, content) VALUES (?, ?, ?, ?, ?);

-- name: delete_part
DELETE FROM part WHERE trace = ? AND session = ?;

-- name: sessions_of_trace
-- The ids of all sessions that own a span of a trace.
SELECT session.session_id FROM part JOIN session ON session.id = part.session
WHERE part.trace = ? ORDER BY session.session_id;

-- name: find_session
SELECT id FROM session WHERE app = ? AND session_id = ?;

-- name: add_session
-- An empty one: whoever adds it fills it in the same write.
INSERT INTO session (app, session_id, changed, totals, labels) VALUES (?, ?, 0, x'', x'') RETURNING id;

-- name: session_state
SELECT session_id, totals, labels FROM session WHERE id = ?;

-- name: put_session
UPDATE session SET name = ?, "end" = ?, changed = ?, totals = ?, labels = ? WHERE id = ?;

-- name: delete_session
DELETE FROM session WHERE id = ?;

-- name: add_session_user
INSERT OR IGNORE INTO session_user (app, user_id, session) VALUES (?, ?, ?);

-- name: delete_session_user
DELETE FROM session_user WHERE app = ? AND user_id = ? AND session = ?;

-- name: clear_derived
-- What `rebuild` derives anew.
DELETE FROM part; DELETE FROM session_user; DELETE FROM session; DELETE FROM context; DELETE FROM stale_trace;

-- name: forget_session
INSERT OR REPLACE INTO forgotten_session (app, session_id, at, changed) VALUES (?, ?, ?, ?);

-- name: forget_trace
INSERT OR REPLACE INTO forgotten_trace (app, trace_id, at) VALUES (?, ?, ?);

-- name: forget_span
INSERT OR REPLACE INTO forgotten_span (app, trace_id, span_id, at) VALUES (?, ?, ?, ?);

-- name: forgotten_sessions
SELECT app, session_id, at FROM forgotten_session WHERE at > 0;

-- name: forgotten_traces
SELECT app, trace_id, at FROM forgotten_trace;

-- name: forgotten_spans
SELECT app, trace_id, span_id, at FROM forgotten_span;

-- name: end_session
-- Tell that a session is no more, without refusing anything of it that was not refused before.
INSERT INTO forgotten_session (app, session_id, at, changed) VALUES (?, ?, 0, ?)
ON CONFLICT DO UPDATE SET changed = excluded.changed;

-- name: note_sessions
-- Those that are there before a rebuild.
CREATE TEMP TABLE noted AS SELECT app, session_id FROM session;

-- name: end_noted_sessions
-- Those of them that are no more.
INSERT INTO forgotten_session (app, session_id, at, changed)
SELECT app, session_id, 0, (SELECT now FROM clock) FROM temp.noted
WHERE NOT EXISTS (SELECT 1 FROM session WHERE session.app = noted.app AND session.session_id = noted.session_id)
ON CONFLICT DO UPDATE SET changed = excluded.changed;

-- name: forget_noted_sessions
DROP TABLE temp.noted;

-- name: delete_unused_contexts
DELETE FROM context WHERE id NOT IN (SELECT context FROM span);

-- name: delete_unused_origins
DELETE FROM origin WHERE id NOT IN (SELECT origin FROM span);

-- name: changes
-- Sessions written to after a tick, and those deleted and not begun anew.
SELECT changed, session_id, 0 FROM session WHERE app = ?1 AND changed > ?2
UNION ALL
SELECT changed, session_id, 1 FROM forgotten_session AS gone WHERE app = ?1 AND changed > ?2
  AND NOT EXISTS (SELECT 1 FROM session WHERE session.app = gone.app AND session.session_id = gone.session_id)
ORDER BY 1, 2;

-- name: get_session
SELECT session_id, totals, labels FROM session WHERE app = ? AND session_id = ?;
