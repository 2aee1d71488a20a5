/**
 * The database, version by version: the nth entry brings version n-1 to n. Entries are never changed once released.
 * Times are ms since the epoch; money is in micro-dollars.
 */
export const schemaSteps: readonly string[] = [
  `
  CREATE TABLE pod (
    name TEXT PRIMARY KEY,
    pod_id TEXT UNIQUE,
    gpu TEXT NOT NULL,
    quote_usd_per_hour_micros INTEGER,
    requested_at INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('intended', 'owned', 'notCreated', 'gone')),
    changed_at INTEGER NOT NULL,
    why TEXT
  ) STRICT;

  CREATE TABLE ledger_entry (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('job', 'pod')),
    subject TEXT NOT NULL,
    label TEXT NOT NULL,
    from_ms INTEGER NOT NULL,
    to_ms INTEGER NOT NULL CHECK (to_ms >= from_ms),
    micros INTEGER NOT NULL,
    basis TEXT NOT NULL CHECK (basis IN ('measured', 'estimated')),
    in_pod_time INTEGER NOT NULL DEFAULT 0,
    note TEXT
  ) STRICT;
  CREATE INDEX ledger_entry_by_time ON ledger_entry (to_ms);
  CREATE INDEX ledger_entry_by_subject ON ledger_entry (subject);
  CREATE UNIQUE INDEX ledger_entry_job_once ON ledger_entry (subject, label) WHERE kind = 'job';
  CREATE TRIGGER ledger_entry_is_not_changed BEFORE UPDATE ON ledger_entry
    BEGIN SELECT RAISE(ABORT, 'The ledger is append-only'); END;
  CREATE TRIGGER ledger_entry_is_not_removed BEFORE DELETE ON ledger_entry
    BEGIN SELECT RAISE(ABORT, 'The ledger is append-only'); END;

  CREATE TABLE pod_meter (
    pod_id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    usd_per_hour_micros INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('booting', 'running', 'stopped', 'gone')),
    segment_from_ms INTEGER NOT NULL,
    until_ms INTEGER NOT NULL,
    started_at_ms INTEGER,
    idle_stop_ms INTEGER
  ) STRICT;

  CREATE TABLE job (
    id TEXT PRIMARY KEY,
    label TEXT NOT NULL,
    workflow TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('running', 'done', 'failed', 'cancelled', 'lost')),
    backend TEXT,
    prompt_id TEXT,
    client_id TEXT,
    address TEXT,
    attempts TEXT NOT NULL,
    outputs TEXT NOT NULL,
    micros INTEGER,
    cost_basis TEXT,
    fault TEXT,
    details TEXT NOT NULL,
    requested_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    owner TEXT NOT NULL,
    lease_until INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX job_by_state ON job (state, requested_at);
  `,
  // Budgets, and what a pod's money went to.
  `
  CREATE TABLE reservation (
    subject TEXT NOT NULL,
    backend TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('job', 'pod')),
    tier TEXT NOT NULL,
    micros INTEGER NOT NULL CHECK (micros >= 0),
    from_ms INTEGER NOT NULL,
    to_ms INTEGER NOT NULL CHECK (to_ms >= from_ms),
    PRIMARY KEY (subject, backend)
  ) STRICT;

  CREATE TABLE budget_notice (
    budget TEXT NOT NULL,
    period_ms INTEGER NOT NULL,
    limit_micros INTEGER NOT NULL,
    percent INTEGER NOT NULL,
    PRIMARY KEY (budget, period_ms, limit_micros, percent)
  ) STRICT;

  ALTER TABLE ledger_entry ADD COLUMN part TEXT NOT NULL DEFAULT 'run' CHECK (part IN ('run', 'boot', 'disk'));
  CREATE INDEX ledger_entry_money ON ledger_entry (to_ms, from_ms, kind, label, basis, micros)
    WHERE in_pod_time = 0 AND micros <> 0;
  ALTER TABLE pod_meter ADD COLUMN in_boot INTEGER NOT NULL DEFAULT 0;

  CREATE TABLE disk_meter (
    pod_id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    micros_per_hour INTEGER NOT NULL,
    segment_from_ms INTEGER NOT NULL,
    until_ms INTEGER NOT NULL
  ) STRICT;
  `,
  // The queue: jobs that no window has taken yet, who leads, and what is known of run times.
  `
  CREATE TABLE job_graph (
    id INTEGER PRIMARY KEY,
    shape TEXT NOT NULL,
    graph TEXT NOT NULL
  ) STRICT;
  CREATE INDEX job_graph_by_shape ON job_graph (shape);

  CREATE TABLE job_next (
    id TEXT PRIMARY KEY,
    label TEXT NOT NULL,
    graph INTEGER,
    workflow TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled', 'lost')),
    backend TEXT,
    prompt_id TEXT,
    client_id TEXT,
    address TEXT,
    attempts TEXT NOT NULL,
    outputs TEXT NOT NULL,
    micros INTEGER,
    cost_basis TEXT,
    fault TEXT,
    details TEXT NOT NULL,
    requested_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    owner TEXT NOT NULL,
    lease_until INTEGER NOT NULL,
    from_queue INTEGER NOT NULL DEFAULT 0,
    priority INTEGER NOT NULL DEFAULT 0,
    place INTEGER NOT NULL DEFAULT 0,
    fingerprint TEXT NOT NULL DEFAULT '',
    local_only INTEGER NOT NULL DEFAULT 0,
    excluded TEXT NOT NULL DEFAULT '[]',
    why TEXT,
    waits_for TEXT,
    not_before INTEGER NOT NULL DEFAULT 0,
    progress TEXT,
    cancel_wanted INTEGER NOT NULL DEFAULT 0,
    given_at INTEGER,
    accepted INTEGER NOT NULL DEFAULT 0,
    resent INTEGER NOT NULL DEFAULT 0
  ) STRICT;
  INSERT INTO job_next (id, label, workflow, state, backend, prompt_id, client_id, address, attempts, outputs, micros,
      cost_basis, fault, details, requested_at, changed_at, owner, lease_until)
    SELECT id, label, workflow, state, backend, prompt_id, client_id, address, attempts, outputs, micros,
      cost_basis, fault, details, requested_at, changed_at, owner, lease_until FROM job;
  DROP TABLE job;
  ALTER TABLE job_next RENAME TO job;
  CREATE INDEX job_in_queue ON job (priority DESC, place) WHERE state = 'queued';
  CREATE INDEX job_delayed ON job (not_before) WHERE state = 'queued' AND not_before > 0;
  CREATE INDEX job_at_work ON job (requested_at, id) WHERE state = 'running';
  CREATE INDEX job_ended ON job (changed_at, requested_at) WHERE state NOT IN ('queued', 'running');
  CREATE INDEX job_by_graph ON job (graph) WHERE graph IS NOT NULL;

  CREATE TABLE job_count (state TEXT PRIMARY KEY, jobs INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  INSERT INTO job_count (state, jobs)
    SELECT name, (SELECT count(*) FROM job WHERE state = name)
    FROM (SELECT 'queued' AS name UNION SELECT 'running' UNION SELECT 'done' UNION SELECT 'failed'
          UNION SELECT 'cancelled' UNION SELECT 'lost');
  CREATE TRIGGER job_is_counted AFTER INSERT ON job
    BEGIN UPDATE job_count SET jobs = jobs + 1 WHERE state = NEW.state; END;
  CREATE TRIGGER job_is_counted_off AFTER DELETE ON job
    BEGIN UPDATE job_count SET jobs = jobs - 1 WHERE state = OLD.state; END;
  CREATE TRIGGER job_is_counted_anew AFTER UPDATE OF state ON job WHEN OLD.state <> NEW.state
    BEGIN
      UPDATE job_count SET jobs = jobs - 1 WHERE state = OLD.state;
      UPDATE job_count SET jobs = jobs + 1 WHERE state = NEW.state;
    END;

  CREATE TABLE job_kind (fingerprint TEXT PRIMARY KEY, models TEXT NOT NULL) STRICT;

  CREATE TABLE scheduler (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    leader TEXT NOT NULL,
    lease_until INTEGER NOT NULL,
    paused INTEGER NOT NULL,
    next_place INTEGER NOT NULL,
    version INTEGER NOT NULL,
    finish_at INTEGER
  ) STRICT;
  INSERT INTO scheduler VALUES (1, '', 0, 0, 0, 0, NULL);

  CREATE TABLE run_time (
    id INTEGER PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    gpu TEXT NOT NULL,
    seconds REAL NOT NULL CHECK (seconds > 0),
    cold INTEGER NOT NULL,
    at INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX run_time_by_kind ON run_time (fingerprint, gpu, at);
  `,
  // The fleet's automation: which window leads it, and what it did, with the reasons.
  `
  CREATE TABLE fleet_lead (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    leader TEXT NOT NULL,
    lease_until INTEGER NOT NULL
  ) STRICT;
  INSERT INTO fleet_lead VALUES (1, '', 0);

  CREATE TABLE fleet_decision (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    what TEXT NOT NULL CHECK (what IN ('start', 'create', 'stop')),
    pod_id TEXT,
    pod_name TEXT,
    usd_per_hour_micros INTEGER,
    because TEXT NOT NULL,
    saved_seconds REAL,
    micros INTEGER,
    failure TEXT
  ) STRICT;
  CREATE INDEX fleet_decision_by_pod ON fleet_decision (pod_id, id);
  CREATE INDEX ledger_entry_boots ON ledger_entry (id) WHERE kind = 'pod' AND part = 'boot';
  `,
  // Second runs of late jobs.
  `
  ALTER TABLE job ADD COLUMN second_of TEXT;
  ALTER TABLE job ADD COLUMN had_second INTEGER NOT NULL DEFAULT 0;
  CREATE INDEX job_second ON job (second_of) WHERE second_of IS NOT NULL;
  CREATE INDEX job_beaten ON job (owner) WHERE state = 'done' AND cancel_wanted = 1;
  `,
  // A job that is run again is paid for again: each of its runs has an entry and a reservation of its own.
  `
  ALTER TABLE job ADD COLUMN run INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE ledger_entry ADD COLUMN run INTEGER NOT NULL DEFAULT 0;
  DROP INDEX ledger_entry_job_once;
  CREATE UNIQUE INDEX ledger_entry_run_once ON ledger_entry (subject, label, run) WHERE kind = 'job';
  ALTER TABLE reservation ADD COLUMN run INTEGER NOT NULL DEFAULT 0;
  `,
  // Runs of pods that we did not deploy, which a job has started: by RunPod's clock the run before, and this one once it is known.
  `
  CREATE TABLE job_start (
    pod_id TEXT PRIMARY KEY,
    at INTEGER NOT NULL,
    before_ms INTEGER,
    run_ms INTEGER
  ) STRICT;
  `,
];
