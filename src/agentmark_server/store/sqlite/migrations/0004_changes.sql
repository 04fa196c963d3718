-- What people say of sessions, beside what spans say: facts too, which a rebuild keeps.

CREATE TABLE edit (
  app INTEGER NOT NULL,
  session_id TEXT NOT NULL,
  -- null: the name that the spans state.
  name TEXT,
  -- JSON: a list of texts.
  tags TEXT NOT NULL,
  PRIMARY KEY (app, session_id)
) WITHOUT ROWID;

-- Whether the file may still hold what was deleted: cleaning.py.
CREATE TABLE unclean (
  since INTEGER NOT NULL -- nanoseconds since 1970
);
