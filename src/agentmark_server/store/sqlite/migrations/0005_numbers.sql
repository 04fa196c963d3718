-- Numbers beside the sessions: sums by user and by time, and scores.

-- Sums over the sessions that have a user.
CREATE TABLE user (
  app INTEGER NOT NULL,
  user TEXT NOT NULL,
  session_count INTEGER NOT NULL,
  trace_count INTEGER NOT NULL,
  call_count INTEGER NOT NULL,
  error_count INTEGER NOT NULL,
  input_tokens INTEGER NOT NULL,
  output_tokens INTEGER NOT NULL,
  cost INTEGER NOT NULL,
  priced_calls INTEGER NOT NULL,
  first INTEGER,
  last INTEGER,
  PRIMARY KEY (app, user)
) WITHOUT ROWID;

-- The users of a session: 1 is LabelKind.USER.
CREATE INDEX user_by_session ON session_label (session, value) WHERE kind = 1;

-- Calls by the start of their spans, and spans that failed: of one minute, and again of one hour.
CREATE TABLE call_bucket (
  app INTEGER NOT NULL,
  width INTEGER NOT NULL,     -- minutes
  start INTEGER NOT NULL,     -- minutes since 1970
  model TEXT NOT NULL,        -- these four are empty where there is none
  agent TEXT NOT NULL,
  service TEXT NOT NULL,
  environment TEXT NOT NULL,
  calls INTEGER NOT NULL,
  priced_calls INTEGER NOT NULL,
  cost INTEGER NOT NULL,
  input_tokens INTEGER NOT NULL,
  output_tokens INTEGER NOT NULL,
  errors INTEGER NOT NULL,
  latencies BLOB NOT NULL,    -- msgpack of a Histogram
  PRIMARY KEY (app, width, start, model, agent, service, environment)
) WITHOUT ROWID;

-- Parts by their start: what sessions own of traces.
CREATE TABLE trace_bucket (
  app INTEGER NOT NULL,
  width INTEGER NOT NULL,
  start INTEGER NOT NULL,
  traces INTEGER NOT NULL,
  failed_traces INTEGER NOT NULL,
  durations BLOB NOT NULL,    -- msgpack of a Histogram
  PRIMARY KEY (app, width, start)
) WITHOUT ROWID;

-- In which minutes spans of a session start, and how many of its parts have one there.
CREATE TABLE session_minute (
  app INTEGER NOT NULL,
  minute INTEGER NOT NULL,
  session INTEGER NOT NULL,
  parts INTEGER NOT NULL,
  PRIMARY KEY (app, minute, session)
) WITHOUT ROWID;

-- What somebody or something thinks of a session, a trace or a span.
CREATE TABLE score (
  id INTEGER PRIMARY KEY,
  app INTEGER NOT NULL,
  score_id TEXT NOT NULL,
  resource_type TEXT NOT NULL,
  resource_id TEXT NOT NULL,  -- of traces and spans in hex
  trace_id TEXT,              -- of traces and spans, in hex
  name TEXT NOT NULL,
  score REAL NOT NULL,
  label TEXT,
  reason TEXT,
  source TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  UNIQUE (app, score_id)
);
CREATE INDEX score_by_time ON score (app, created_at, score_id);
CREATE INDEX score_by_resource ON score (app, resource_id);
CREATE INDEX score_by_trace ON score (app, trace_id) WHERE trace_id IS NOT NULL;
