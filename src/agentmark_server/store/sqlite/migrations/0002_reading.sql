-- What whole traces are listed by, and spans of all traces in order of time.

-- The sums over a trace's parts, NULL where it has none: log records alone make no trace.
ALTER TABLE trace ADD COLUMN name TEXT;
ALTER TABLE trace ADD COLUMN status INTEGER; -- as in the table of spans
ALTER TABLE trace ADD COLUMN start INTEGER;
ALTER TABLE trace ADD COLUMN "end" INTEGER;
ALTER TABLE trace ADD COLUMN duration INTEGER;
ALTER TABLE trace ADD COLUMN cost INTEGER; -- NULL where nothing has a price
ALTER TABLE trace ADD COLUMN tokens INTEGER;
ALTER TABLE trace ADD COLUMN span_count INTEGER;
ALTER TABLE trace ADD COLUMN error_count INTEGER;

-- In the order that is asked for most, and all that counting needs.
CREATE INDEX trace_by_start ON trace (app, start DESC, trace_id, span_count) WHERE span_count > 0;

-- A span's times where its clock is not broken: from 2000 to 2100, as in model.py. An end of 0 is none.
ALTER TABLE span ADD COLUMN began INTEGER
  AS (CASE WHEN start >= 946684800000000000 AND start < 4102444800000000000 THEN start END);
ALTER TABLE span ADD COLUMN ended INTEGER
  AS (CASE WHEN "end" >= 946684800000000000 AND "end" < 4102444800000000000 THEN "end" END);
ALTER TABLE span ADD COLUMN lasted INTEGER AS (max(0, ended - began));

CREATE INDEX span_by_start ON span (began);

-- Those that are there are summed up before the first question.
INSERT OR IGNORE INTO stale_trace (trace, app) SELECT id, app FROM trace;
