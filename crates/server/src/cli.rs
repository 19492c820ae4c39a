//! The command line: flags become a gateway and a server, which runs until a stop signal.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand};
use sockeye::{Budget, DrainConfig, Prefix, TcpEndpoint};
use sockeye_apps::ice::{Ice, IceConfig};
use sockeye_apps::rooms::http::RoomsSite;
use tokio::net::TcpListener;
use tracing_subscriber::filter::Targets;

use crate::assets::Assets;
use crate::bench_args::{self, BenchArgs};
use crate::front::{Directory, Front, Site};
use crate::ice_args::{IceArgs, IceArgsError};
use crate::log;
use crate::memory;
use crate::mounts::{self, Endpoint, Mounts, Planned, TcpApp, TcpListen};
use crate::server::{self, BindError};
use crate::settings::{self, File, Plan, SettingArgs, Settings};
use crate::stop::{Drains, StopSignals, stop_signal};

/// The exit code for errors of usage, the same as clap's.
const USAGE: u8 = 2;

/// A real-time gateway that speaks SockJS
#[derive(Debug, Parser)]
#[command(name = "sockeye", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve endpoints and the demo pages (the default command)
    Serve(Box<ServeArgs>),
    /// Compare the transports: latency, throughput, cost and correctness
    Bench(BenchArgs),
    /// Print the settings that hold, or the defaults, as a file for --config; without secrets
    PrintConfig {
        /// Print the defaults, each with its explanation
        #[arg(long)]
        default: bool,
        #[command(flatten)]
        serve: Box<ServeArgs>,
    },
    /// Check a file for --config, and tell each problem in it; exit code 2 if there is any
    CheckConfig {
        /// The file, or - for stdin
        file: PathBuf,
    },
}

#[derive(Args, Debug)]
struct ServeArgs {
    /// Read the settings in this TOML file; flags and variables stand above it
    #[arg(long, value_name = "FILE", env = "SOCKEYE_CONFIG", hide_env_values = true)]
    config: Option<PathBuf>,

    #[command(flatten)]
    settings: SettingArgs,

    /// Serve APP below PREFIX, in place of the default endpoint there; may be repeated
    #[arg(long = "endpoint", value_name = "PREFIX=APP", long_help = mounts::endpoint_help())]
    endpoints: Vec<Endpoint>,

    /// Serve APP (chat or echo) to TCP clients that speak in records, as Java's writeUTF does; may
    /// be repeated
    #[arg(long = "tcp", value_name = "IP:PORT=APP")]
    tcp: Vec<TcpListen>,

    #[command(flatten)]
    ice: IceArgs,
}

/// Runs the command of the arguments to its end.
pub(crate) fn run() -> ExitCode {
    let args = match Cli::try_parse() {
        Ok(Cli { command: Some(Command::Serve(args)), .. }) => *args,
        Ok(Cli { command: Some(Command::Bench(args)), .. }) => return bench(args),
        Ok(Cli { command: Some(Command::PrintConfig { default, serve }), .. }) => {
            return end(print_config(default, *serve));
        }
        Ok(Cli { command: Some(Command::CheckConfig { file }), .. }) => {
            return end(check_config(&file));
        }
        Ok(Cli { command: None, serve }) => serve,
        Err(error) => return explain(&error),
    };
    end(serve(args))
}

fn end(outcome: Result<(), Failure>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Settings(problems)) => {
            eprint!("{problems}");
            ExitCode::from(USAGE)
        }
        Err(failure) => {
            eprintln!("error: {failure}");
            failure.exit_code()
        }
    }
}

/// The settings that hold: those of the file, below those of variables and flags.
fn settings(args: ServeArgs) -> Result<(File, Plan), Failure> {
    let ServeArgs { config, settings: mut over, endpoints, tcp, ice } = args;
    over.rust_log(std::env::var("RUST_LOG").ok()).map_err(Failure::RustLog)?;
    if let Some(prefix) = mounts::twice(&endpoints) {
        return Err(Failure::Twice(prefix.clone()));
    }
    let file = config.map_or_else(|| Ok(File::default()), |path| File::read(&path));
    let file = file.map_err(Failure::Settings)?.with(over, endpoints, tcp);
    let mut plan = file.plan().map_err(Failure::Settings)?;
    plan.ice = ice.config(plan.ice)?;
    Ok((file, plan))
}

fn print_config(default: bool, args: ServeArgs) -> Result<(), Failure> {
    let text = if default {
        settings::print(&Settings::default(), &IceConfig::default(), true)
    } else {
        let (file, plan) = settings(args)?;
        settings::print(file.settings(), &plan.ice, false)
    };
    // A closed stdout has no reader.
    let _ = io::stdout().write_all(text.as_bytes());
    Ok(())
}

fn check_config(path: &Path) -> Result<(), Failure> {
    let file = File::read(path).map_err(Failure::Settings)?;
    file.plan().map_err(Failure::Settings)?;
    // A closed stdout has no reader.
    let _ = writeln!(io::stdout(), "{}: no problems", path.display());
    Ok(())
}

fn bench(args: BenchArgs) -> ExitCode {
    bench_args::run(&args, stop_signal).unwrap_or_else(|error| {
        eprintln!("error: {}", bench_args::explain(&error));
        ExitCode::from(USAGE)
    })
}

fn serve(args: ServeArgs) -> Result<(), Failure> {
    check_date(SystemTime::now())?;
    let (_, plan) = settings(args)?;
    let Plan { program, serve, endpoints, tcp, ice } = plan;
    let filter = program.log.parse::<Targets>().expect("a filter was tried when it was set");
    // Dropped last: the runtime logs while it shuts down.
    let _log = log::start(filter, program.log_format);
    let limited = limit_memory(program.memory);
    let drain = DrainConfig::new().drain_lead(program.drain_lead).drain_time(program.drain_time);

    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::Start)?;
    runtime.block_on(async {
        let mut mounts = Mounts::default();
        for endpoint in &endpoints {
            endpoint.mount(&mut mounts);
        }
        let mut listeners = Vec::with_capacity(tcp.len());
        for (TcpListen { addr, app }, config) in tcp {
            let listener = TcpListener::bind(addr).await.map_err(|source| Failure::Bind {
                error: BindError { addr, source },
                flag: "--tcp",
            })?;
            listeners.push((mounts.tcp(app, config), listener, app));
        }
        let rooms = mounts.rooms.map(RoomsSite::new);
        let site = Site { assets: Assets::embedded(), rooms, ice: Ice::new(ice) };
        let directory = Directory::new(&site, endpoints.iter().map(Planned::info).collect());

        // Before the announcement: a reader of it may send a signal at once.
        let signals = StopSignals::catch().map_err(Failure::Start)?;
        let listener = server::bind(program.listen)
            .map_err(|error| Failure::Bind { error, flag: "--listen" })?;
        let addr = listener.local_addr().map_err(Failure::Start)?;
        // After the bind, so that a failed bind logs its error alone.
        tell_memory(limited);
        announce(addr, &directory, &listeners)?;
        let mut drains = Drains { gateway: mounts.gateway.clone(), tcp: Vec::new() };
        for (endpoint, listener, _) in listeners {
            drains.tcp.push(endpoint.clone());
            tokio::spawn(async move { endpoint.listen(listener).await });
        }
        let front = Front::new(mounts.gateway, site, &directory);
        // Until the drain is over the listener stays open.
        let drained = async { drains.run(signals, drain).await };
        sockeye::serve(listener, front).with_config(serve).with_graceful_shutdown(drained).await;
        Ok(())
    })
}

/// hyper dates its answers, and panics at each if the date is before 1970.
fn check_date(now: SystemTime) -> Result<(), Failure> {
    if now < UNIX_EPOCH { Err(Failure::Date) } else { Ok(()) }
}

/// Limits the memory of sessions, for all endpoints together. Returns the limit and its source.
fn limit_memory(chosen: Option<usize>) -> Option<(usize, String)> {
    let found = memory::least(Path::new("/"));
    let (limit, source) = match (chosen, found) {
        (Some(bytes), _) => (bytes, "memory".to_owned()),
        (None, Some(found)) => (found.bytes / 2, found.source.to_string()),
        (None, None) => {
            return None;
        }
    };
    Budget::process().set_limit(limit);
    Some((limit, source))
}

fn tell_memory(limited: Option<(usize, String)>) {
    match limited {
        Some((limit, source)) => tracing::info!(limit, source, "memory for sessions is limited"),
        None => tracing::warn!(
            "session memory is unlimited: this system doesn't report how much there is; set `memory`"
        ),
    }
}

/// Prints the served paths to stdout, in one write; the first line is for programs that wait for
/// it.
fn announce(
    addr: SocketAddr,
    directory: &Directory,
    listeners: &[(TcpEndpoint, TcpListener, TcpApp)],
) -> Result<(), Failure> {
    tracing::info!(%addr, "listening");
    let mut text = format!("listening on http://{addr}\n{directory}");
    for (_, listener, app) in listeners {
        let addr = listener.local_addr().map_err(Failure::Start)?;
        text.push_str(&format!("  tcp://{addr}  {app}\n"));
    }
    // A closed stdout is no reason not to serve.
    let _ = io::stdout().write_all(text.as_bytes());
    Ok(())
}

/// Errors after the arguments have been parsed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// Lines that tell each problem of the settings.
    #[error("{0}")]
    Settings(String),
    #[error("{0}")]
    RustLog(String),
    #[error("--endpoint names {0} twice: leave one of them out")]
    Twice(Prefix),
    #[error("{0}")]
    Ice(#[from] IceArgsError),
    #[error("{error}: {source}: {remedy}", source = .error.source, remedy = remedy(.error, .flag))]
    Bind { error: BindError, flag: &'static str },
    #[error(
        "the machine's clock stands before 1970, and HTTP can't tell such dates: set the clock, then start again"
    )]
    Date,
    #[error("cannot start: {0}")]
    Start(#[source] io::Error),
}

impl Failure {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Settings(_)
            | Self::RustLog(_)
            | Self::Twice(_)
            | Self::Ice(_)
            | Self::Bind { .. }
            | Self::Date => ExitCode::from(USAGE),
            Self::Start(_) => ExitCode::FAILURE,
        }
    }
}

fn remedy(error: &BindError, flag: &str) -> String {
    let (ip, port) = (error.addr.ip(), error.addr.port());
    match error.source.kind() {
        io::ErrorKind::AddrInUse => {
            format!(
                "stop the program that listens on port {port}, or choose another port with {flag}"
            )
        }
        io::ErrorKind::AddrNotAvailable => {
            format!(
                "no interface of this machine has the address {ip}; listen on all with {flag} 0.0.0.0:{port}"
            )
        }
        io::ErrorKind::PermissionDenied => {
            format!("the system keeps low ports for itself; choose one from 1024 up with {flag}")
        }
        _ => format!("choose another address with {flag}"),
    }
}

/// Prints clap's error. For a wrong value its first line is complete; for an option before the
/// command, nearly so.
fn explain(error: &clap::Error) -> ExitCode {
    let text = error.render().to_string();
    let first = text.lines().next().unwrap_or_default();
    match error.kind() {
        ErrorKind::ValueValidation => eprintln!("{first}"),
        // All options belong to a command.
        ErrorKind::ArgumentConflict if first.contains("subcommand") => {
            eprintln!("{first}: write the options behind the command");
        }
        _ => {
            // Fails only when stderr is closed.
            let _ = error.print();
        }
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(USAGE))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::CommandFactory;

    use super::*;

    fn plan(arguments: &[&str]) -> Plan {
        let cli = Cli::try_parse_from([&["sockeye"], arguments].concat()).expect("good arguments");
        let args = match cli.command {
            Some(Command::Serve(args)) => *args,
            Some(_) => panic!("it serves"),
            None => cli.serve,
        };
        settings(args).map_err(|failure| failure.to_string()).expect("good settings").1
    }

    fn served(arguments: &[&str]) -> Vec<String> {
        let planned = plan(arguments).endpoints;
        planned.iter().map(|it| format!("{}={}", it.prefix, it.info().app)).collect()
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn serve_is_the_default_command() {
        for arguments in [&["--listen", "[::1]:0"][..], &["serve", "--listen", "[::1]:0"]] {
            assert_eq!(plan(arguments).program.listen, "[::1]:0".parse().expect("an address"));
        }
        assert_eq!(plan(&[]).program.listen, "127.0.0.1:8080".parse().expect("an address"));
    }

    #[test]
    fn an_endpoint_replaces_the_default_of_its_prefix() {
        assert_eq!(served(&[]), mounts::DEFAULT_ENDPOINTS);
        assert_eq!(
            served(&["--endpoint", "/talk=chat", "--endpoint", "/ws=echo"]),
            [
                "/echo=echo",
                "/broadcast=broadcast",
                "/ws=echo",
                "/socket=relay",
                "/signal=rooms",
                "/talk=chat"
            ]
        );
    }

    /// A board without a battery starts somewhere.
    #[test]
    fn a_clock_before_1970_is_told_and_not_served_with() {
        assert!(matches!(check_date(UNIX_EPOCH - Duration::from_secs(1)), Err(Failure::Date)));
        assert!(check_date(UNIX_EPOCH).is_ok());
    }
}
