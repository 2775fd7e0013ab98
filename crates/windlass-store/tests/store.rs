//! One suite, three databases. On SQLite each case is a test of its own; the servers start once and serve all cases, each in
//! a database of its own.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod cases;

use windlass_store::{Options, Store, StoreError, StoreUrl};
use windlass_testkit::databases::{Kind, PASSWORD, Server};

/// A database that a case has for itself.
#[derive(Clone)]
struct Place {
    url: StoreUrl,
}

impl Place {
    async fn open(&self) -> Store {
        Store::open(&self.url, &Options::default()).await.unwrap()
    }
}

macro_rules! cases {
    ($($module:ident :: $case:ident),* $(,)?) => {
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    let folder = tempfile::tempdir().unwrap();
                    let url = super::StoreUrl::sqlite(folder.path().join("store.db"));
                    crate::cases::$module::$case(super::Place { url }).await;
                }
            )*
        }

        async fn all(server: &Server) {
            $(
                let case = stringify!($case);
                println!("{case}");
                let url = server.database(&case.chars().take(40).collect::<String>()).unwrap();
                cases::$module::$case(Place { url: url.parse().unwrap() }).await;
            )*
        }
    };
}

cases!(
    begin::many_at_once_open_one_store,
    begin::numbers_only_grow_and_have_no_gaps,
    begin::what_is_taken_back_leaves_no_gap,
    begin::a_request_that_comes_again_is_known,
    begin::what_was_asked_comes_back_unchanged,
    begin::the_clock_is_right,
    change::the_seeds_way,
    change::a_refusal_writes_nothing,
    change::a_target_that_another_has_is_busy,
    change::nothing_is_lost_when_many_change_at_once,
    change::a_caller_who_goes_away_leaves_no_half,
    change::a_panic_harms_nobody_else,
    random::the_store_holds_what_the_machine_makes,
    queries::pages_and_filters,
    queries::jobs_are_found_by_whom_they_concern,
    queries::history_is_pruned_only_when_told,
    agents::registrations_are_kept,
    agents::a_token_is_taken_by_one,
    releases::releases_do_not_change,
    releases::blobs_that_nobody_has_are_forgotten,
    releases::what_was_there_before_is_known,
);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres() {
    let server = Server::start(Kind::Postgres).unwrap();
    all(&server).await;
    cannot_connect(&server, "postgres").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mariadb() {
    let server = Server::start(Kind::MariaDb).unwrap();
    all(&server).await;
    cannot_connect(&server, "mysql").await;
}

/// A wrong password, a wrong port: an error that says so, without the password.
async fn cannot_connect(server: &Server, scheme: &str) {
    let port = server.port;
    let shown = |text: String| async move {
        let options = Options {
            connect: std::time::Duration::from_secs(3),
            ..Options::default()
        };
        let opened = Store::open(&text.parse().unwrap(), &options).await;
        let error = opened.err().unwrap();
        assert!(!error.to_string().contains(PASSWORD), "{error}");
        error
    };
    let wrong = shown(format!(
        "{scheme}://windlass:{PASSWORD}x@127.0.0.1:{port}/x"
    ))
    .await;
    assert!(
        matches!(&wrong, StoreError::Denied(what) if what.contains("windlass")),
        "{wrong:?}"
    );
    let nobody = shown(format!("{scheme}://windlass:{PASSWORD}@127.0.0.1:1/x")).await;
    assert!(matches!(nobody, StoreError::Unreachable(_)), "{nobody:?}");
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_a_damaged_file_is_told() {
    use sqlx::ConnectOptions as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/store.db");
    let url = StoreUrl::sqlite(&path);
    drop(Store::open(&url, &Options::default()).await.unwrap());
    let file = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
    let mut link = file.connect().await.unwrap();
    let update = "UPDATE meta SET schema_number = 99";
    sqlx::query(update).execute(&mut link).await.unwrap();
    drop(link);
    let error = Store::open(&url, &Options::default()).await.err().unwrap();
    assert!(
        matches!(error, windlass_store::StoreError::Newer { found: 99, .. }),
        "{error}"
    );
    let path = folder.path().join("other.db");
    std::fs::write(
        &path,
        "this is no database at all, whatever its name says".repeat(90),
    )
    .unwrap();
    let opened = Store::open(&StoreUrl::sqlite(&path), &Options::default()).await;
    let error = opened.err().unwrap();
    assert!(
        matches!(error, windlass_store::StoreError::Corrupt(_)),
        "{error:?}"
    );
}

/// Not a test: `cargo test --release -p windlass-store --test store -- --ignored --nocapture measure`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures"]
async fn measure() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let url = StoreUrl::sqlite(folder.path().join("store.db"));
    let store = Store::open(&url, &Options::default()).await.unwrap();
    for (tasks, each) in [(1, 200), (8, 200), (64, 100), (256, 50)] {
        let begun = std::time::Instant::now();
        let tasks: Vec<_> = (0..tasks)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move {
                    for _ in 0..each {
                        cases::begin(&store, cases::install_of("p")).await;
                    }
                })
            })
            .collect();
        let all = tasks.len() * each;
        let count = tasks.len();
        for task in tasks {
            task.await.unwrap();
        }
        let rate = f64::from(u32::try_from(all).unwrap()) / begun.elapsed().as_secs_f64();
        println!("{count} clients: {rate:.0} durable begins/s");
    }
}
