-- Every fixed statement of the SQLite store. `-- name:` names it, the comment below says what it is for.

-- name: tick
-- Number a write.
UPDATE clock SET now = now + 1 RETURNING now;

-- name: find_app
SELECT id FROM app WHERE name = ?;

-- name: add_app
INSERT INTO app (name, sessions) VALUES (?, 0) RETURNING id;

-- name: count_sessions_of_app
SELECT sessions FROM app WHERE id = ?;

-- name: grow_app
UPDATE app SET sessions = sessions + ? WHERE id = ?;

-- name: next_ids
-- The first free numbers of traces and sessions.
SELECT coalesce((SELECT max(id) FROM trace), 0) + 1, coalesce((SELECT max(id) FROM session), 0) + 1;

-- name: find_trace
SELECT id, next, spans, fresh FROM trace WHERE app = ? AND trace_id = ?;

-- name: add_trace
INSERT INTO trace (
  id, app, trace_id, next, spans, fresh, name, status, start, "end", duration, cost, tokens, span_count, error_count
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: count_trace
UPDATE trace SET next = ?, spans = ?, fresh = ? WHERE id = ?;

-- name: count_trace_anew
-- After it was grouped.
UPDATE trace SET spans = ?, fresh = 0 WHERE id = ?;

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
INSERT INTO origin (content, uses) VALUES (?, 0) RETURNING id;

-- name: origin
SELECT content FROM origin WHERE id = ?;

-- name: use_origin
UPDATE origin SET uses = uses + ? WHERE id = ?;

-- name: delete_unused_origins
DELETE FROM origin WHERE uses = 0;

-- name: find_term
SELECT id FROM term WHERE text = ?;

-- name: add_term
INSERT INTO term (text, uses) VALUES (?, 0) RETURNING id;

-- name: use_term
UPDATE term SET uses = uses + ? WHERE id = ?;

-- name: delete_unused_terms
DELETE FROM term WHERE uses = 0;

-- name: put_chunk
INSERT INTO chunk (id, origins, facts, contents) VALUES (?, ?, ?, ?);

-- name: put_facts
UPDATE chunk SET facts = ? WHERE id = ?;

-- name: facts_of_trace
-- All chunks of a trace lie between two ids.
SELECT id, facts FROM chunk WHERE id >= ? AND id < ? ORDER BY id;

-- name: chunk_heads_of_trace
SELECT id FROM chunk WHERE id >= ? AND id < ? ORDER BY id;

-- name: chunk
SELECT id, origins, facts, contents FROM chunk WHERE id = ?;

-- name: chunk_of_span
-- The chunk that holds the span of a number.
SELECT id, origins, facts, contents FROM chunk WHERE id <= ? ORDER BY id DESC LIMIT 1;

-- name: delete_chunks
DELETE FROM chunk WHERE id >= ? AND id < ?;

-- name: version_of_span
SELECT number, "end", attribute_count FROM span WHERE trace = ? AND span_id = ?;

-- name: numbers_of_trace
SELECT span_id, number FROM span WHERE trace = ?;

-- name: put_span
INSERT OR REPLACE INTO span VALUES (
  ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?
);

-- name: grouped_of_trace
-- What grouping said of the spans of a trace.
SELECT span_id, session, counted FROM span WHERE trace = ?;

-- name: regroup_span
UPDATE span SET session = ?, counted = ? WHERE trace = ? AND span_id = ?;

-- name: terms_of_trace
SELECT name, provider, model, agent, service, scope, user, prompt, status_message, metadata FROM span WHERE trace = ?;

-- name: terms_of_span
SELECT name, provider, model, agent, service, scope, user, prompt, status_message, metadata FROM span
WHERE trace = ? AND span_id = ?;

-- name: delete_spans
DELETE FROM span WHERE trace = ?;

-- name: count_spans
SELECT count(*) FROM span JOIN trace ON trace.id = span.trace JOIN app ON app.id = trace.app WHERE app.name = ?;

-- name: count_all_spans
SELECT count(*) FROM span;

-- name: parts_of_trace
SELECT id, session, content FROM part WHERE id >= ? AND id < ?;

-- name: parts_of_session
SELECT content FROM part WHERE session = ?;

-- name: traces_of_session
SELECT id >> 32, trace_id FROM part WHERE session = ?;

-- name: put_part
INSERT OR REPLACE INTO part (id, session, trace_id, start, content) VALUES (?, ?, ?, ?, ?);

-- name: delete_part
DELETE FROM part WHERE id = ?;

-- name: sessions_of_trace
-- The ids of all sessions that own a span of a trace.
SELECT session.session_id FROM part JOIN session ON session.id = part.session
WHERE part.id >= ? AND part.id < ? ORDER BY session.session_id;

-- name: find_session
SELECT id FROM session WHERE app = ? AND session_id = ?;

-- name: session_state
-- A session, for bringing it up to date.
SELECT session_id, labels, busy,
  trace_count, failed_trace_count, timed_trace_count, duration, span_count, call_count, error_count,
  input_tokens, output_tokens, cached_tokens, reasoning_tokens, cost, priced_calls, unpriced_calls,
  unmetered_calls, unaccounted_tokens
FROM session JOIN session_detail ON session_detail.session = session.id WHERE id = ?;

-- name: put_session
-- Only what changes is written into the indexes.
INSERT INTO session (
  id, app, session_id, changed, name, user, outcome, start, "end", running_since, active, trace_count,
  failed_trace_count, timed_trace_count, duration, span_count, call_count, error_count, input_tokens,
  output_tokens, cached_tokens, reasoning_tokens, cost, priced_calls, unpriced_calls, unmetered_calls,
  unaccounted_tokens
) VALUES (
  ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?
) ON CONFLICT (id) DO UPDATE SET
  changed = excluded.changed, name = excluded.name, user = excluded.user, outcome = excluded.outcome,
  start = excluded.start, "end" = excluded."end", running_since = excluded.running_since,
  active = excluded.active, trace_count = excluded.trace_count,
  failed_trace_count = excluded.failed_trace_count, timed_trace_count = excluded.timed_trace_count,
  duration = excluded.duration, span_count = excluded.span_count, call_count = excluded.call_count,
  error_count = excluded.error_count, input_tokens = excluded.input_tokens,
  output_tokens = excluded.output_tokens, cached_tokens = excluded.cached_tokens,
  reasoning_tokens = excluded.reasoning_tokens, cost = excluded.cost, priced_calls = excluded.priced_calls,
  unpriced_calls = excluded.unpriced_calls, unmetered_calls = excluded.unmetered_calls,
  unaccounted_tokens = excluded.unaccounted_tokens;

-- name: put_session_detail
INSERT OR REPLACE INTO session_detail (session, labels, busy, input, output) VALUES (?, ?, ?, ?, ?);

-- name: delete_session
DELETE FROM session WHERE id = ?;

-- name: delete_session_detail
DELETE FROM session_detail WHERE session = ?;

-- name: add_label
INSERT OR IGNORE INTO session_label (app, kind, key, value, session) VALUES (?, ?, ?, ?, ?);

-- name: delete_label
DELETE FROM session_label WHERE app = ? AND kind = ? AND key = ? AND value = ? AND session = ?;

-- name: clear_derived
-- What `rebuild` derives anew.
DELETE FROM part; DELETE FROM session_label; DELETE FROM session_detail; DELETE FROM session; DELETE FROM stale_trace;
UPDATE app SET sessions = 0;
UPDATE term SET uses = 0; UPDATE origin SET uses = 0;

-- name: forget_session
INSERT OR REPLACE INTO forgotten_session (app, key, at, changed) VALUES (?, ?, ?, ?);

-- name: forget_trace
INSERT OR REPLACE INTO forgotten_trace (app, key, at) VALUES (?, ?, ?);

-- name: forget_span
INSERT OR REPLACE INTO forgotten_span (app, trace_key, key, at) VALUES (?, ?, ?, ?);

-- name: forgotten_sessions
SELECT app, key, at, changed FROM forgotten_session;

-- name: forgotten_traces
SELECT app, key, at FROM forgotten_trace;

-- name: forgotten_spans
SELECT app, trace_key, key, at FROM forgotten_span;

-- name: end_session
INSERT INTO forgotten_session (app, key, at, changed) VALUES (?, ?, 0, ?)
ON CONFLICT DO UPDATE SET changed = excluded.changed;

-- name: tell_no_more
UPDATE forgotten_session SET changed = 0 WHERE app = ? AND key = ?;

-- name: note_sessions
-- Those that are there before a rebuild.
CREATE TEMP TABLE noted AS SELECT app, session_id FROM session;

-- name: noted_sessions_gone
-- Those of them that are no more.
SELECT app, session_id FROM temp.noted
WHERE NOT EXISTS (SELECT 1 FROM session WHERE session.app = noted.app AND session.session_id = noted.session_id);

-- name: forget_noted_sessions
DROP TABLE temp.noted;

-- name: changes
-- Sessions written to after a tick and up to another, and the keys of those that are gone.
SELECT changed, session_id, NULL FROM session WHERE app = ?1 AND changed > ?2 AND changed <= ?3
UNION ALL
SELECT changed, NULL, key FROM forgotten_session WHERE app = ?1 AND changed > ?2 AND changed <= ?3
ORDER BY 1, 2;

-- name: tick_of_change
-- The tick of the n-th change after a tick (?3 is n - 1): read from the indexes, in their order.
SELECT changed FROM session WHERE app = ?1 AND changed > ?2
UNION ALL
SELECT changed FROM forgotten_session WHERE app = ?1 AND changed > ?2
ORDER BY 1 LIMIT 1 OFFSET ?3;

-- name: get_session
SELECT session_id, labels, active,
  trace_count, failed_trace_count, timed_trace_count, duration, span_count, call_count, error_count,
  input_tokens, output_tokens, cached_tokens, reasoning_tokens, cost, priced_calls, unpriced_calls,
  unmetered_calls, unaccounted_tokens
FROM session JOIN session_detail ON session_detail.session = session.id WHERE app = ? AND session_id = ?;

-- name: longest_session
SELECT wall FROM session INDEXED BY session_by_wall WHERE app = ? ORDER BY wall DESC LIMIT 1;

-- name: session_of_number
SELECT session_id, labels, active,
  trace_count, failed_trace_count, timed_trace_count, duration, span_count, call_count, error_count,
  input_tokens, output_tokens, cached_tokens, reasoning_tokens, cost, priced_calls, unpriced_calls,
  unmetered_calls, unaccounted_tokens
FROM session JOIN session_detail ON session_detail.session = session.id WHERE id = ?;

-- name: waiting_chunks
-- Those to be indexed next.
SELECT place, chunk FROM unindexed ORDER BY place LIMIT ?;

-- name: last_waiting
SELECT max(place) FROM unindexed;

-- name: waiting_since
-- When the oldest of the chunks that are not indexed came (ms since 1970).
SELECT at FROM unindexed ORDER BY place LIMIT 1;

-- name: queued_after
SELECT chunk FROM unindexed WHERE place > ?;

-- name: unqueue
DELETE FROM unindexed WHERE place = ?;

-- name: queue_trace
INSERT INTO unindexed (chunk, at)
SELECT id, CAST(unixepoch('subsec') * 1000 AS INTEGER) FROM chunk WHERE id >= ? AND id < ?;

-- name: queue_chunk
INSERT INTO unindexed (chunk, at) VALUES (?, CAST(unixepoch('subsec') * 1000 AS INTEGER));

-- name: queue_everything
DELETE FROM unindexed;
INSERT INTO unindexed (chunk, at) SELECT id, CAST(unixepoch('subsec') * 1000 AS INTEGER) FROM chunk ORDER BY id;

-- name: chunk_head_of_span
SELECT id FROM chunk WHERE id <= ? ORDER BY id DESC LIMIT 1;

-- name: chunk_head
SELECT id FROM chunk WHERE id = ?;

-- name: count_parts
SELECT count(*) FROM part WHERE id >= ? AND id < ?;

-- name: documents_between
SELECT id, words FROM document WHERE id >= ? AND id < ? ORDER BY id;

-- name: add_document
INSERT INTO document (id, words) VALUES (?, ?);

-- name: add_words
INSERT INTO message_words (rowid, words) VALUES (?, ?);

-- name: delete_words
INSERT INTO message_words (message_words, rowid, words) VALUES ('delete', ?, ?);

-- name: delete_documents
DELETE FROM document WHERE id >= ? AND id < ?;

-- name: delete_stale_documents
DELETE FROM stale_document WHERE id >= ? AND id < ?;

-- name: mark_outdated
INSERT OR IGNORE INTO stale_document (id) SELECT id FROM document WHERE id >= ? AND id < ?;

-- name: clear_index
-- What `rebuild` indexes anew, the sessions with it. Without triggers, which would do it one by one.
DELETE FROM session; DELETE FROM session_text;
INSERT INTO session_grams (session_grams) VALUES ('delete-all');
INSERT INTO message_words (message_words) VALUES ('delete-all');
DELETE FROM document; DELETE FROM stale_document;

-- name: sessions_with_parts
-- Those that have the three-character parts of a term, and the whole of it.
SELECT id FROM session_grams CROSS JOIN session_text ON session_text.id = session_grams.rowid
WHERE session_grams MATCH ? AND session_text.app = ? AND instr(session_text.text, ?) > 0 LIMIT ?;

-- name: sessions_compared
-- Those that have a term, without a look into the index.
SELECT id FROM session_text WHERE app = ? AND instr(text, ?) > 0 LIMIT ?;

-- name: count_sessions_with_part
-- Counted so far.
SELECT count(*) FROM (SELECT 1 FROM session_grams WHERE session_grams MATCH ? LIMIT ?);

-- name: sessions_of_app
-- Of sessions, a JSON list of numbers, those of an app.
SELECT id FROM session WHERE id IN (SELECT value FROM json_each(?)) AND app = ?;

-- name: documents_with
-- Those that have a word.
SELECT rowid FROM message_words WHERE message_words MATCH ? AND rowid NOT IN (SELECT id FROM stale_document);

-- name: owners_of_traces
-- Of traces, a JSON list of numbers, the sessions that own a span.
SELECT part.id >> 32, part.session FROM json_each(?) AS trace
CROSS JOIN part ON part.id >= trace.value << 32 AND part.id < (trace.value + 1) << 32;

-- name: traces_of_sessions
-- Of sessions, a JSON list of numbers, the traces in which they own a span.
SELECT part.id >> 32, part.session FROM json_each(?) AS asked CROSS JOIN part ON part.session = asked.value;

-- name: owners_of_spans
-- The spans of a trace, by number, and the session that owns each.
SELECT number, session FROM span WHERE trace = ?;

-- name: sum_trace
-- What a trace adds up to, over all of its parts.
UPDATE trace SET name = ?, status = ?, start = ?, "end" = ?, duration = ?, cost = ?, tokens = ?, span_count = ?,
  error_count = ?
WHERE id = ?;

-- name: find_listed_trace
-- A trace that has a span; log records alone make none.
SELECT id, trace_id FROM trace WHERE app = ? AND trace_id = ? AND span_count > 0;

-- name: part_contents_of_trace
SELECT content FROM part WHERE id >= ? AND id < ?;

-- name: log_records_of_trace
-- The log records that came as spans of a trace: their numbers in it.
SELECT number FROM span WHERE trace = ? AND role = 3 ORDER BY start, span_id;

-- name: facts_of_span
-- The chunk that holds the span of a number, without what its spans hold.
SELECT id, facts FROM chunk WHERE id <= ? ORDER BY id DESC LIMIT 1;

-- name: contents_of_span
-- The same with what its spans hold, as they came.
SELECT id, contents FROM chunk WHERE id <= ? ORDER BY id DESC LIMIT 1;

-- name: listed_span
-- What grouping and log records say of a span; log records themselves are none.
SELECT span_id, number, session_id, counted, said_model.text, said_user.text, span.input_tokens,
  span.output_tokens, span.cached_tokens, span.cache_write_tokens, span.reasoning_tokens, span.cost
FROM span LEFT JOIN session ON session.id = span.session
  LEFT JOIN term AS said_model ON said_model.id = span.model
  LEFT JOIN term AS said_user ON said_user.id = span.user
WHERE trace = ?1 AND span_id = ?2 AND role <> 3;

-- name: listed_spans
-- The same of all spans of a trace.
SELECT span_id, number, session_id, counted, said_model.text, said_user.text, span.input_tokens,
  span.output_tokens, span.cached_tokens, span.cache_write_tokens, span.reasoning_tokens, span.cost
FROM span LEFT JOIN session ON session.id = span.session
  LEFT JOIN term AS said_model ON said_model.id = span.model
  LEFT JOIN term AS said_user ON said_user.id = span.user
WHERE trace = ? AND role <> 3;

-- name: count_listed_spans
SELECT coalesce(sum(span_count), 0) FROM trace WHERE app IS ? AND span_count > 0;
-- name: add_presence
-- Parts of a session of which spans start in a minute: so many more.
INSERT INTO session_minute (app, minute, session, parts) VALUES (?, ?, ?, ?)
ON CONFLICT DO UPDATE SET parts = parts + excluded.parts;

-- name: delete_absence
DELETE FROM session_minute WHERE app = ? AND minute = ? AND session = ? AND parts = 0;

-- name: add_to_calls
-- `add_histograms` is ours: see tallies.py.
INSERT INTO call_bucket VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET
  calls = calls + excluded.calls, priced_calls = priced_calls + excluded.priced_calls, cost = cost + excluded.cost,
  input_tokens = input_tokens + excluded.input_tokens, output_tokens = output_tokens + excluded.output_tokens,
  errors = errors + excluded.errors, latencies = add_histograms(latencies, excluded.latencies);

-- name: delete_no_calls
DELETE FROM call_bucket WHERE app = ? AND width = ? AND start = ? AND model = ? AND agent = ? AND service = ?
  AND environment = ? AND calls = 0 AND errors = 0;

-- name: add_to_traces
INSERT INTO trace_bucket VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET
  traces = traces + excluded.traces, failed_traces = failed_traces + excluded.failed_traces,
  durations = add_histograms(durations, excluded.durations);

-- name: delete_no_traces
DELETE FROM trace_bucket WHERE app = ? AND width = ? AND start = ? AND traces = 0;

-- name: add_to_user
INSERT INTO user (
  app, user, session_count, trace_count, call_count, error_count, input_tokens, output_tokens, cost, priced_calls,
  first, last
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET
  session_count = session_count + excluded.session_count, trace_count = trace_count + excluded.trace_count,
  call_count = call_count + excluded.call_count, error_count = error_count + excluded.error_count,
  input_tokens = input_tokens + excluded.input_tokens, output_tokens = output_tokens + excluded.output_tokens,
  cost = cost + excluded.cost, priced_calls = priced_calls + excluded.priced_calls,
  first = coalesce(min(first, excluded.first), first, excluded.first),
  last = coalesce(max(last, excluded.last), last, excluded.last);

-- name: times_of_user
SELECT min(session.start), max(session."end") FROM session_label AS label
JOIN session ON session.id = label.session
WHERE label.app = ? AND label.kind = 1 AND label.key = '' AND label.value = ?;

-- name: put_times_of_user
UPDATE user SET first = ?, last = ? WHERE app = ? AND user = ?;

-- name: delete_user_without_sessions
DELETE FROM user WHERE app = ? AND user = ? AND session_count = 0;

-- name: seen_of_user
SELECT first, last FROM user WHERE app = ? AND user = ?;

-- name: clear_numbers
-- What `rebuild` derives anew beside the sessions.
DELETE FROM user; DELETE FROM call_bucket; DELETE FROM trace_bucket; DELETE FROM session_minute;

-- name: count_users
SELECT count(*) FROM user WHERE app = ?;

-- name: get_user
SELECT user, session_count, trace_count, call_count, error_count, input_tokens, output_tokens, cost, priced_calls,
  first, last
FROM user WHERE app = ? AND user = ?;

-- name: reach_of_presences
-- The first and the last minute of all that is known.
SELECT min(minute), max(minute) FROM session_minute WHERE app = ?;

-- name: trace_buckets
SELECT start, traces, failed_traces, durations FROM trace_bucket
WHERE app = ? AND width = ? AND start >= ? AND start < ?;

-- name: presences
-- Sessions of which a span starts in a minute, with the number of its bucket of ?1 minutes, counted from minute ?2 on.
SELECT (minute - ?2) / ?1, session FROM session_minute
WHERE app = ?3 AND minute >= ?2 AND minute < ?4 ORDER BY minute;

-- name: put_score
-- The same id again replaces what it said.
INSERT INTO score (
  app, score_id, resource_type, resource_id, trace_id, name, score, label, reason, source, created_at
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (app, score_id) DO UPDATE SET
  resource_type = excluded.resource_type, resource_id = excluded.resource_id, trace_id = excluded.trace_id,
  name = excluded.name, score = excluded.score, label = excluded.label, reason = excluded.reason,
  source = excluded.source;

-- name: get_score
SELECT score_id, resource_type, resource_id, trace_id, name, score, label, reason, source, created_at
FROM score WHERE app = ? AND score_id = ?;

-- name: delete_score
DELETE FROM score WHERE app = ? AND score_id = ? RETURNING 1;

-- name: delete_scores_of_session
DELETE FROM score WHERE app = ? AND resource_id = ? AND resource_type = 'session';

-- name: delete_scores_of_trace
-- Of its spans too.
DELETE FROM score WHERE app = ? AND trace_id = ?;

-- name: delete_scores_of_span
DELETE FROM score WHERE app = ? AND trace_id = ? AND resource_id = ? AND resource_type = 'span';
-- name: start_of_part
-- Where in the order of a session's traces one stands.
SELECT start FROM part WHERE session = ? AND trace_id = ?;

-- name: parts_before
-- The traces of a session before a place in their order, given by start and trace id.
SELECT trace_id, content FROM part WHERE session = ? AND (start, trace_id) < (?, ?) ORDER BY start, trace_id;

-- name: busy_of_session
SELECT busy FROM session_detail WHERE session = ?;

-- name: apps_with_edits
SELECT DISTINCT app FROM edit;

-- name: find_edit
SELECT name, tags FROM edit WHERE app = ? AND session_id = ?;

-- name: put_edit
INSERT OR REPLACE INTO edit (app, session_id, name, tags) VALUES (?, ?, ?, ?);

-- name: delete_edit
DELETE FROM edit WHERE app = ? AND session_id = ?;

-- name: has_trace
SELECT 1 FROM trace WHERE app = ? AND trace_id = ?;

-- name: latest_tick
SELECT now FROM clock;

-- name: owned_numbers
-- Which spans of a trace a session owns, by their numbers in the trace.
SELECT number FROM span JOIN trace ON trace.id = span.trace
WHERE trace.app = ?1 AND trace.trace_id = ?2
  AND span.session = (SELECT id FROM session WHERE session.app = ?1 AND session.session_id = ?3);

-- name: mark_unclean
INSERT INTO unclean (since) VALUES (?);

-- name: is_unclean
SELECT 1 FROM unclean LIMIT 1;

-- name: mark_clean
DELETE FROM unclean;
