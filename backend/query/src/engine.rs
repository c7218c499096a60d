//! Takes a query text, takes one snapshot, checks, plans, and starts the answer.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, MemoryCatalogProvider, MemoryCatalogProviderList,
};
use datafusion::common::DataFusionError;
use datafusion::common::config::Dialect;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::execution::disk_manager::{DiskManager, DiskManagerMode};
use datafusion::execution::object_store::{DefaultObjectStoreRegistry, ObjectStoreRegistry, ObjectStoreUrl};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::execution::{SessionStateDefaults, TaskContext};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::{SQLOptions, SessionConfig};
use store::{Snapshot, Table};

use crate::admission::Admission;
use crate::answer::{Answer, Job};
use crate::catalog::{
    CATALOG, IN_LIST_MAX, PROMQL, PUBLIC, PromSchema, Promql, READ_FILE, ReadFile, SnapshotCatalog,
    TABLE_FUNCTIONS, open_files,
};
use crate::config::{Config, QueryOptions};
use crate::error::{LimitNames, QueryError, QueryErrorKind, Result, from_store, translate};
use crate::functions;
use crate::hint::{did_you_mean, list};
use crate::plan_thread;
use crate::pool::QueryPool;
use crate::prom::{PromConfig, PromEngine};
use crate::sandbox::{self, Checked};
use crate::scan::{Reading, STORE_URL};
use crate::workers::Workers;
use crate::yielding::YieldAboveJoins;

/// Where the engine gets the newest snapshot.
pub type SnapshotSource = Arc<dyn Fn() -> Arc<Snapshot> + Send + Sync>;

/// Answers with at most this many rows have their limit in the plan, which can then stop early. A larger
/// one would make sorts keep that many rows in memory at once.
const PLANNED_LIMIT_MAX: usize = 10_000;

/// Longest string, list or other constant in a plan, in bytes.
const CONSTANT_BYTES_MAX: usize = 32 << 10;

/// Answers SQL over the newest snapshot. Cheap to clone.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    config: Config,
    snapshots: SnapshotSource,
    admission: Admission,
    runtime: RuntimeEnv,
    workers: Workers,
    prom: PromEngine,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("config", &self.0.config).finish_non_exhaustive()
    }
}

impl Engine {
    /// An engine over whatever snapshot `snapshots` gives when a query starts. Fails where the directory for
    /// temporary files cannot be made.
    pub fn new(config: Config, snapshots: SnapshotSource) -> Result<Engine> {
        let unusable =
            |error: DataFusionError| QueryError::internal(format!("cannot set up the query engine: {error}"));
        let runtime = RuntimeEnvBuilder::new()
            .with_disk_manager_builder(spill_files(&config))
            .with_metadata_cache_limit(config.metadata_cache)
            .with_object_list_cache_limit(0)
            .with_file_statistics_cache_limit(0)
            .build()
            .map_err(unusable)?;
        let admission = Admission::new(config.max_concurrent, config.queue_timeout);
        let workers = Workers::start()?;
        let prom = PromConfig { ledger: config.ledger.clone(), ..config.prom.clone() };
        let prom = PromEngine::new(prom, workers.clone());
        Ok(Engine(Arc::new(Inner { config, snapshots, admission, runtime, workers, prom })))
    }

    /// The engine for PromQL, with its own limits and its own queue, on the same threads.
    pub fn prom(&self) -> &PromEngine {
        &self.0.prom
    }

    /// The limits.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// The newest snapshot.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        (self.0.snapshots)()
    }

    /// Plans `query` over the newest snapshot and starts it on threads of the engine's own.
    ///
    /// Fails with what is wrong with the text, or [`QueryErrorKind::Busy`] when no place becomes free in
    /// time. Once an [`Answer`] is there, rows come as fast as they are taken; dropping it ends the query.
    pub async fn sql(&self, query: &str, options: QueryOptions) -> Result<Answer> {
        let permit = self.0.admission.enter().await?;
        let started = Instant::now();
        let deadline = tokio::time::Instant::now() + self.0.config.timeout;
        let snapshot = self.snapshot();
        let planning = {
            let (engine, query) = (self.clone(), query.to_owned());
            // The place goes along: a planning that nobody waits for any more still takes its share.
            plan_thread::run(move || async move {
                engine.plan(&query, snapshot, options).await.map(|planned| (planned, permit))
            })
        };
        let (planned, permit) = match tokio::time::timeout_at(deadline, planning).await {
            Ok(planned) => planned?,
            Err(_) => return Err(self.timed_out()),
        };
        let limit = options.limit.map_or(self.0.config.row_limit, |limit| limit.min(self.0.config.row_limit));
        let job = Job {
            plan: planned.plan,
            context: planned.context,
            reading: planned.reading,
            limit,
            past_limit: options.past_limit,
            started,
            deadline,
            timed_out: self.timed_out(),
            limits: self.limit_names(),
            permit,
        };
        Answer::start(job, &self.0.workers)
    }

    async fn plan(&self, query: &str, snapshot: Arc<Snapshot>, options: QueryOptions) -> Result<Planned> {
        let limits = self.limit_names();
        let checked = sandbox::check(query, limits)?;
        let state = self.session(Arc::clone(&snapshot), &checked).await?;
        match self.plan_checked(&state, checked, options).await {
            Ok(plan) => {
                let reading = state.config().get_extension().unwrap_or_default();
                Ok(Planned { plan, context: state.task_ctx(), reading })
            }
            Err(error) => Err(with_table_hint(translate(&error, limits), &snapshot).await),
        }
    }

    async fn plan_checked(
        &self,
        state: &SessionState,
        checked: Checked,
        options: QueryOptions,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        let is_query = checked.is_query;
        let mut plan = state.statement_to_plan(checked.statement).await?;
        read_only().verify_plan(&plan)?;
        if let (true, Some(limit)) = (is_query, options.limit.filter(|limit| *limit <= PLANNED_LIMIT_MAX)) {
            // One row more, to know whether there are more.
            plan = LogicalPlanBuilder::from(plan).limit(0, Some(limit + 1))?.build()?;
        }
        let plan = state.optimize(&plan)?;
        check_constants(&plan)?;
        state.query_planner().create_physical_plan(&plan, state).await
    }

    /// A session that holds the catalog of one snapshot and nothing else.
    async fn session(&self, snapshot: Arc<Snapshot>, checked: &Checked) -> Result<SessionState> {
        let limits = self.limit_names();
        let lists = PromSchema::new(Arc::clone(&snapshot), checked.lists_names).await;
        let prom = Arc::new(lists.map_err(|error| translate(&error, limits))?);
        let files = open_files(&snapshot, &checked.files).await?;
        let runtime = self.runtime(&snapshot).map_err(|error| translate(&error, limits))?;
        let promql = Promql::new(self.0.prom.clone(), Arc::clone(&snapshot));
        let catalog = SnapshotCatalog::new(snapshot, prom);
        let mut state = bare_session(Some(Arc::new(runtime)), Arc::new(catalog), self.0.config.memory_limit);
        state.register_udtf(READ_FILE, Arc::new(ReadFile(files)));
        state.register_udtf(PROMQL, Arc::new(promql));
        // Sets the time `now()` stands for, one for the whole query; without it `now()` fails.
        state.mark_start_execution();
        Ok(state)
    }

    /// What the queries share, with memory and an object store of this query's own.
    fn runtime(&self, snapshot: &Snapshot) -> Result<RuntimeEnv, DataFusionError> {
        let stores = DefaultObjectStoreRegistry::new();
        stores.deregister_store(ObjectStoreUrl::local_filesystem().as_ref())?;
        stores.register_store(ObjectStoreUrl::parse(STORE_URL)?.as_ref(), Arc::clone(snapshot.objects()));
        RuntimeEnvBuilder::from_runtime_env(&self.0.runtime)
            .with_memory_pool(Arc::new(self.pool()))
            .with_object_store_registry(Arc::new(stores))
            .build()
    }

    fn pool(&self) -> QueryPool {
        QueryPool::new(self.0.config.memory_limit, self.0.config.ledger.as_ref().map(Arc::clone))
    }

    fn limit_names(&self) -> LimitNames {
        LimitNames { memory: self.0.config.memory_limit, spill: self.0.config.spill.limit }
    }

    fn timed_out(&self) -> QueryError {
        let limit = self.0.config.timeout.as_secs_f64();
        QueryError::new(QueryErrorKind::Timeout, format!("query exceeded the time limit of {limit} s"))
            .with_hint("read less: a shorter time range, or a condition on metric, service or probe")
    }
}

struct Planned {
    plan: Arc<dyn ExecutionPlan>,
    context: Arc<TaskContext>,
    reading: Arc<Reading>,
}

/// Names of all functions, for completion and help.
pub(crate) fn function_names() -> Vec<String> {
    let mut names = functions::names(&bare_session(None, Arc::new(MemoryCatalogProvider::new()), 0));
    names.extend([PROMQL, READ_FILE].map(str::to_owned));
    names.sort_unstable();
    names
}

fn bare_session(
    runtime: Option<Arc<RuntimeEnv>>,
    catalog: Arc<dyn CatalogProvider>,
    memory_limit: usize,
) -> SessionState {
    let catalogs = MemoryCatalogProviderList::new();
    catalogs.register_catalog(CATALOG.to_owned(), catalog);
    let table_functions = SessionStateDefaults::default_table_functions()
        .into_iter()
        .filter(|function| TABLE_FUNCTIONS.contains(&function.name()))
        .map(|function| (function.name().to_owned(), function))
        .collect();
    SessionStateBuilder::new()
        .with_config(session_config(memory_limit))
        .with_runtime_env(runtime.unwrap_or_default())
        .with_catalog_list(Arc::new(catalogs))
        .with_expr_planners(SessionStateDefaults::default_expr_planners())
        .with_scalar_functions(functions::scalar_functions())
        .with_higher_order_functions(SessionStateDefaults::default_higher_order_functions())
        .with_aggregate_functions(SessionStateDefaults::default_aggregate_functions())
        .with_window_functions(SessionStateDefaults::default_window_functions())
        .with_table_functions(table_functions)
        .with_physical_optimizer_rule(Arc::new(YieldAboveJoins))
        .build()
}

fn session_config(memory_limit: usize) -> SessionConfig {
    let mut config = SessionConfig::new()
        .with_default_catalog_and_schema(CATALOG, PUBLIC)
        .with_create_default_catalog_and_schema(false)
        .with_information_schema(true)
        .with_extension(Arc::new(Reading::default()));
    let options = config.options_mut();
    options.execution.time_zone = Some("UTC".to_owned());
    options.execution.enable_recursive_ctes = false;
    options.execution.enforce_batch_size_in_joins = true;
    // Below this a sort puts its batches together and sorts them as one. Above, it merges them by cursors
    // that take two or three times their memory, which is not there when it is time to spill.
    options.execution.sort_in_place_threshold_bytes = memory_limit;
    options.execution.parquet.schema_force_view_types = false;
    options.execution.parquet.reorder_filters = true;
    options.execution.parquet.max_in_list_size = IN_LIST_MAX;
    options.optimizer.prefer_existing_sort = true;
    options.sql_parser.collect_spans = true;
    options.sql_parser.dialect = Dialect::Generic;
    config
}

/// Refuses long constants, written out or computed by the optimiser: a constant becomes a column of as many
/// copies as a batch has rows.
fn check_constants(plan: &LogicalPlan) -> Result<(), DataFusionError> {
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|part| match part {
                Expr::Literal(value, _) if value.size() > CONSTANT_BYTES_MAX => {
                    let message = format!("a constant has {} bytes, more than the limit", value.size());
                    Err(QueryError::new(QueryErrorKind::Memory, message).into())
                }
                _ => Ok(TreeNodeRecursion::Continue),
            })
        })
    })?;
    Ok(())
}

/// The second fence.
fn read_only() -> SQLOptions {
    SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false)
}

fn spill_files(config: &Config) -> datafusion::execution::disk_manager::DiskManagerBuilder {
    let mode = match (&config.spill.directory, config.spill.limit) {
        (_, 0) => DiskManagerMode::Disabled,
        (Some(directory), _) => DiskManagerMode::Directories(vec![directory.clone()]),
        (None, _) => DiskManagerMode::OsTmpDirectory,
    };
    DiskManager::builder().with_mode(mode).with_max_temp_directory_size(config.spill.limit)
}

/// Adds the nearest name to "table `x` does not exist".
async fn with_table_hint(error: QueryError, snapshot: &Snapshot) -> QueryError {
    let wanted = error.message.strip_prefix("table `").and_then(|rest| rest.strip_suffix("` does not exist"));
    let Some(wanted) = wanted.filter(|_| error.hint.is_none()).map(str::to_owned) else {
        return error;
    };
    let tables: Vec<&str> = Table::ALL.iter().map(|table| table.name()).collect();
    let metrics = snapshot.metric_names().await.map_err(from_store).unwrap_or_default();
    let metrics = || metrics.iter().map(String::as_str);
    let hint = match wanted.strip_prefix("prom.") {
        Some(metric) => did_you_mean(metric, metrics()),
        None if metrics().any(|metric| metric == wanted) => Some(format!("did you mean `prom.{wanted}`")),
        None => did_you_mean(&wanted, tables.iter().copied()),
    };
    error.with_hint(hint.unwrap_or_else(|| format!("tables: {}, and prom.<metric>", list(&tables))))
}
