-- Spans as received, and the traces and sessions derived from them.
-- Small integers stand for apps, traces and sessions, given in order of arrival, so that new rows go to the end
-- of every tree; the ids that came from outside are looked up once.

PRAGMA application_id = 0x41474D4B;

CREATE TABLE app (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  sessions INTEGER NOT NULL -- how many it has: counting them takes long
);

-- Numbers every write. A session's `changed` is the number of the last that touched it.
CREATE TABLE clock (
  now INTEGER NOT NULL
);
INSERT INTO clock VALUES (0);

-- OTLP resource and scope with their schema URLs, as msgpack of an Origin, once for all spans that share them.
CREATE TABLE origin (
  id INTEGER PRIMARY KEY,
  content BLOB NOT NULL UNIQUE,
  -- How many spans name it: what none does is deleted.
  uses INTEGER NOT NULL
);

-- Texts that many spans say: names, models, services, users.
CREATE TABLE term (
  id INTEGER PRIMARY KEY,
  text TEXT NOT NULL UNIQUE,
  uses INTEGER NOT NULL
);

CREATE TABLE trace (
  id INTEGER PRIMARY KEY,
  app INTEGER NOT NULL,
  trace_id BLOB NOT NULL,
  -- How many spans it was ever given: numbers the next.
  next INTEGER NOT NULL,
  -- How many spans it has, and how many of them came since it was last grouped.
  spans INTEGER NOT NULL,
  fresh INTEGER NOT NULL,
  UNIQUE (app, trace_id)
);

-- Large traces with fresh spans: grouped before the next question, or when enough of them came.
CREATE TABLE stale_trace (
  trace INTEGER PRIMARY KEY,
  app INTEGER NOT NULL
);

-- The spans of one trace that came together. The id is `trace << 32 | number of the first`, so that what belongs to a
-- trace lies together without another index. Versions that were replaced stay in it: those in later chunks hold.
CREATE TABLE chunk (
  id INTEGER PRIMARY KEY,
  -- The origin of each span: msgpack of a list of numbers.
  origins BLOB NOT NULL,
  -- What is derived from, and the spans as received: packing.py says how.
  facts BLOB NOT NULL,
  contents BLOB NOT NULL
);

-- One narrow row a span: what is asked for. Times as they came: unsigned, kept as signed. Texts are terms.
CREATE TABLE span (
  trace INTEGER NOT NULL,
  -- Its number in the trace: what it holds is in the last chunk that does not begin after it.
  number INTEGER NOT NULL,
  session INTEGER NOT NULL,
  name INTEGER,
  provider INTEGER,
  model INTEGER,
  agent INTEGER,
  service INTEGER,
  scope INTEGER,
  user INTEGER,
  prompt INTEGER,
  status_message INTEGER,
  -- All of it as one JSON object, which spans of a trace mostly share.
  metadata INTEGER,
  span_id BLOB NOT NULL,
  start INTEGER NOT NULL,
  "end" INTEGER NOT NULL,
  status INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  role INTEGER NOT NULL,
  -- Whether its usage counts.
  counted INTEGER NOT NULL,
  input_tokens INTEGER,
  output_tokens INTEGER,
  cached_tokens INTEGER,
  cache_write_tokens INTEGER,
  reasoning_tokens INTEGER,
  cost INTEGER,
  -- What decides between versions of equal end.
  attribute_count INTEGER NOT NULL,
  parent BLOB,
  PRIMARY KEY (trace, span_id)
) WITHOUT ROWID;

-- The sum and the join of its parts: what is listed, sorted and compared. Narrow, for some questions walk over all.
CREATE TABLE session (
  id INTEGER PRIMARY KEY,
  app INTEGER NOT NULL,
  session_id TEXT NOT NULL,
  changed INTEGER NOT NULL,
  name TEXT,
  user TEXT,
  outcome TEXT,
  start INTEGER,
  "end" INTEGER,
  running_since INTEGER,
  active INTEGER,
  trace_count INTEGER NOT NULL,
  failed_trace_count INTEGER NOT NULL,
  timed_trace_count INTEGER NOT NULL,
  duration INTEGER NOT NULL,
  span_count INTEGER NOT NULL,
  call_count INTEGER NOT NULL,
  error_count INTEGER NOT NULL,
  input_tokens INTEGER NOT NULL,
  output_tokens INTEGER NOT NULL,
  cached_tokens INTEGER NOT NULL,
  reasoning_tokens INTEGER NOT NULL,
  cost INTEGER NOT NULL,
  priced_calls INTEGER NOT NULL,
  unpriced_calls INTEGER NOT NULL,
  unmetered_calls INTEGER NOT NULL,
  unaccounted_tokens INTEGER NOT NULL,
  wall INTEGER AS (max(0, "end" - start)),
  latency INTEGER AS (CASE WHEN timed_trace_count THEN duration / timed_trace_count END),
  total_tokens INTEGER AS (input_tokens + output_tokens),
  total_cost INTEGER AS (CASE WHEN priced_calls THEN cost END),
  UNIQUE (app, session_id)
);
-- The orders that are asked for most. The others sort what they find: every index costs each write.
CREATE INDEX session_by_end ON session (app, "end" DESC, session_id, start);
CREATE INDEX session_by_start ON session (app, start DESC, session_id);
CREATE INDEX session_by_wall ON session (app, wall DESC, session_id);
CREATE INDEX session_by_cost ON session (app, total_cost DESC, session_id);
CREATE INDEX session_by_tokens ON session (app, total_tokens DESC, session_id);
CREATE INDEX session_by_traces ON session (app, trace_count DESC, session_id);
CREATE INDEX session_by_change ON session (app, changed);

-- What of a session is only shown, or joined with what comes.
CREATE TABLE session_detail (
  session INTEGER PRIMARY KEY,
  labels BLOB NOT NULL, -- msgpack of Labels
  busy BLOB NOT NULL,   -- msgpack of Intervals
  -- The previews, which filters compare.
  input TEXT,
  output TEXT
);

-- What a session has several of: users, models, tags and so on, by the numbers of LabelKind; of metadata by key.
CREATE TABLE session_label (
  app INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  session INTEGER NOT NULL,
  PRIMARY KEY (app, kind, key, value, session)
) WITHOUT ROWID;

-- The share of a trace that one session owns; session 0 is none. The id is `trace << 32 | number`.
CREATE TABLE part (
  id INTEGER PRIMARY KEY,
  session INTEGER NOT NULL,
  trace_id BLOB NOT NULL,
  start INTEGER NOT NULL, -- 2^63 - 1 where it is unknown, to come last
  content BLOB NOT NULL   -- msgpack of a Part
);
CREATE INDEX part_by_session ON part (session, start, trace_id);

-- What was deleted, when (nanoseconds since 1970), and in which write. A session that only ended, for its spans
-- became another's, stands there with the time 0: nothing of it is refused, but its end is told. One that began anew
-- stands there with the write 0: it is not told as gone any more. Keys are hashes of ids (forgotten.py).
CREATE TABLE forgotten_session (
  app INTEGER NOT NULL,
  key BLOB NOT NULL,
  at INTEGER NOT NULL,
  changed INTEGER NOT NULL,
  PRIMARY KEY (app, key)
) WITHOUT ROWID;
CREATE INDEX forgotten_session_by_change ON forgotten_session (app, changed);

CREATE TABLE forgotten_trace (
  app INTEGER NOT NULL,
  key BLOB NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (app, key)
) WITHOUT ROWID;

CREATE TABLE forgotten_span (
  app INTEGER NOT NULL,
  trace_key BLOB NOT NULL,
  key BLOB NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (app, trace_key, key)
) WITHOUT ROWID;
