-- Spans as received, and the traces and sessions derived from them.
-- Small integers stand for apps, traces and sessions, given in order of arrival, so that new rows go to the end
-- of every tree; the ids that came from outside are looked up once.

PRAGMA application_id = 0x41474D4B;

CREATE TABLE app (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE
);

-- Numbers every write. A session's `changed` is the number of the last that touched it.
CREATE TABLE clock (
  now INTEGER NOT NULL
);
INSERT INTO clock VALUES (0);

-- OTLP resource and scope with their schema URLs, as msgpack of an Origin, once for all spans that share them.
CREATE TABLE origin (
  id INTEGER PRIMARY KEY,
  content BLOB NOT NULL UNIQUE
);

-- What spans say of their surroundings, as msgpack of a Context, once for all spans that say the same.
CREATE TABLE context (
  id INTEGER PRIMARY KEY,
  content BLOB NOT NULL UNIQUE
);

CREATE TABLE trace (
  id INTEGER PRIMARY KEY,
  app INTEGER NOT NULL,
  trace_id BLOB NOT NULL,
  -- How many chunks it was ever given: numbers the next.
  chunks INTEGER NOT NULL DEFAULT 0,
  -- How many spans it has, and how many of them came since it was last grouped.
  spans INTEGER NOT NULL DEFAULT 0,
  fresh INTEGER NOT NULL DEFAULT 0,
  UNIQUE (app, trace_id)
);

-- Large traces with fresh spans: grouped before the next question, or when enough of them came.
CREATE TABLE stale_trace (
  trace INTEGER PRIMARY KEY,
  app INTEGER NOT NULL
);

-- The spans of one trace that one write brought, as received: zstd of a msgpack list of OTLP Span messages.
-- The id is `trace << 24 | number`, so that what belongs to a trace lies together without another index.
CREATE TABLE chunk (
  id INTEGER PRIMARY KEY,
  content BLOB NOT NULL
);

-- One narrow row a span: what is derived from, and asked for. Times as they came: unsigned, kept as signed.
CREATE TABLE span (
  trace INTEGER NOT NULL,
  span_id BLOB NOT NULL,
  parent_id BLOB,
  name TEXT NOT NULL,
  start INTEGER NOT NULL,
  "end" INTEGER NOT NULL,
  status INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  role INTEGER NOT NULL,
  input_tokens INTEGER,
  output_tokens INTEGER,
  cached_tokens INTEGER,
  cache_write_tokens INTEGER,
  reasoning_tokens INTEGER,
  cost INTEGER,
  cost_stated INTEGER NOT NULL,
  provider TEXT,
  model TEXT,
  response_id TEXT,
  agent TEXT,
  trace_name TEXT,
  input TEXT,
  output TEXT,
  context INTEGER NOT NULL,
  -- Where the span as received is, and what decides between versions of it.
  origin INTEGER NOT NULL,
  chunk INTEGER NOT NULL,
  place INTEGER NOT NULL,
  attribute_count INTEGER NOT NULL,
  PRIMARY KEY (trace, span_id)
) WITHOUT ROWID;

CREATE TABLE session (
  id INTEGER PRIMARY KEY,
  app INTEGER NOT NULL,
  session_id TEXT NOT NULL,
  name TEXT,
  "end" INTEGER,
  changed INTEGER NOT NULL,
  -- msgpack of Totals and of Labels.
  totals BLOB NOT NULL,
  labels BLOB NOT NULL,
  UNIQUE (app, session_id)
);
CREATE INDEX session_by_end ON session (app, "end" DESC, session_id);
CREATE INDEX session_by_change ON session (app, changed);

CREATE TABLE session_user (
  app INTEGER NOT NULL,
  user_id TEXT NOT NULL,
  session INTEGER NOT NULL,
  PRIMARY KEY (app, user_id, session)
) WITHOUT ROWID;

-- The share of a trace that one session owns; session 0 is none.
CREATE TABLE part (
  trace INTEGER NOT NULL,
  session INTEGER NOT NULL,
  trace_id BLOB NOT NULL,
  start INTEGER NOT NULL, -- 2^63 - 1 where it is unknown, to come last
  content BLOB NOT NULL,  -- msgpack of a Part
  -- With row ids: in a table without them a row of a kilobyte already takes a page of its own.
  UNIQUE (trace, session)
);
CREATE INDEX part_by_session ON part (session, start, trace_id);

-- What was deleted, when (nanoseconds since 1970), and in which write. A session that only ended, for its spans
-- became another's, stands there with the time 0: nothing of it is refused, but its end is told.
CREATE TABLE forgotten_session (
  app INTEGER NOT NULL,
  session_id TEXT NOT NULL,
  at INTEGER NOT NULL,
  changed INTEGER NOT NULL,
  PRIMARY KEY (app, session_id)
) WITHOUT ROWID;
CREATE INDEX forgotten_session_by_change ON forgotten_session (app, changed);

CREATE TABLE forgotten_trace (
  app INTEGER NOT NULL,
  trace_id BLOB NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (app, trace_id)
) WITHOUT ROWID;

CREATE TABLE forgotten_span (
  app INTEGER NOT NULL,
  trace_id BLOB NOT NULL,
  span_id BLOB NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (app, trace_id, span_id)
) WITHOUT ROWID;
