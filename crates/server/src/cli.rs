//! The command line: flags become a gateway and a server, which runs until a stop signal.

use std::future::Future;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand};
use sockeye::{Budget, EndpointConfig, Prefix, TcpEndpoint};
use sockeye_apps::ice::Ice;
use sockeye_apps::rooms::http::RoomsSite;
use tokio::net::TcpListener;
use tracing_subscriber::filter::Targets;

use crate::assets::{Assets, CLIENT_URL};
use crate::bench_args::{self, BenchArgs};
use crate::front::{Directory, Front, Site};
use crate::ice_args::{IceArgs, IceArgsError};
use crate::log;
use crate::memory::{self, Size};
use crate::mounts::{self, Endpoint, InboundRate, Mounts, TcpApp, TcpListen};
use crate::server::{self, BindError};

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
}

#[derive(Args, Debug)]
struct ServeArgs {
    /// Listen on this address; port 0 takes a free one
    #[arg(long, value_name = "IP:PORT", value_parser = listen_addr, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,

    /// Serve APP below PREFIX, in place of the default endpoint there; may be repeated
    #[arg(long = "endpoint", value_name = "PREFIX=APP", long_help = mounts::endpoint_help())]
    endpoints: Vec<Endpoint>,

    /// Send a heartbeat after this many seconds without another frame
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "25")]
    heartbeat_delay: Duration,

    /// Keep a session for this many seconds when its client is away
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "5")]
    disconnect_delay: Duration,

    /// Serve APP (chat or echo) to TCP clients that speak in records, as Java's writeUTF does; may
    /// be repeated
    #[arg(long = "tcp", value_name = "IP:PORT=APP")]
    tcp: Vec<TcpListen>,

    /// Limit the inbound rate of each client in the shared apps (broadcast, chat, relay, rooms) to
    /// this many messages and bytes a second, with bursts of three times as many; above it the
    /// client's messages wait. "off" removes the limit
    #[arg(long, value_name = "MESSAGES/BYTES", default_value = "200/131072")]
    inbound_rate: InboundRate,

    /// Limit the memory of all sessions together, such as 512MiB; above it the largest sessions are
    /// closed [default: half of the memory that this process may use]
    #[arg(long, value_name = "BYTES")]
    memory: Option<Size>,

    #[command(flatten)]
    ice: IceArgs,

    /// Filter the log on stderr: a level, or levels by module, such as "info,sockeye=debug"
    #[arg(long, value_name = "FILTER", env = "RUST_LOG", hide_env_values = true, value_parser = log_filter, default_value = "info")]
    log: Targets,
}

/// Runs the command of the arguments to its end.
pub(crate) fn run() -> ExitCode {
    let args = match Cli::try_parse() {
        Ok(Cli { command: Some(Command::Serve(args)), .. }) => *args,
        Ok(Cli { command: Some(Command::Bench(args)), .. }) => return bench(args),
        Ok(Cli { command: None, serve }) => serve,
        Err(error) => return explain(&error),
    };
    match serve(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            failure.exit_code()
        }
    }
}

fn bench(args: BenchArgs) -> ExitCode {
    bench_args::run(&args, stop_signal).unwrap_or_else(|error| {
        eprintln!("error: {}", bench_args::explain(&error));
        ExitCode::from(USAGE)
    })
}

fn serve(args: ServeArgs) -> Result<(), Failure> {
    check_date(SystemTime::now())?;
    // Dropped last: the runtime logs while it shuts down.
    let _log = log::start(args.log);
    let endpoints = mounts::with_defaults(args.endpoints).map_err(Failure::Twice)?;
    let ice = Ice::new(args.ice.config()?);
    let limited = limit_memory(args.memory);
    let config = EndpointConfig::new()
        .heartbeat_delay(args.heartbeat_delay)
        .disconnect_delay(args.disconnect_delay)
        .client_url(CLIENT_URL);

    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::Start)?;
    runtime.block_on(async {
        let mut mounts = Mounts::new(args.inbound_rate);
        for endpoint in &endpoints {
            endpoint.mount(&mut mounts, config.clone());
        }
        let mut listeners = Vec::with_capacity(args.tcp.len());
        for TcpListen { addr, app } in args.tcp {
            let listener = TcpListener::bind(addr).await.map_err(|source| Failure::Bind {
                error: BindError { addr, source },
                flag: "--tcp",
            })?;
            listeners.push((mounts.tcp(app), listener, app));
        }
        let site =
            Site { assets: Assets::embedded(), rooms: mounts.rooms.map(RoomsSite::new), ice };
        let directory = Directory::new(
            &site,
            endpoints.iter().map(|endpoint| endpoint.info(&config)).collect(),
        );

        // Before the announcement: a reader of it may send a signal at once.
        let stop = stop_signal().map_err(Failure::Start)?;
        let listener =
            server::bind(args.listen).map_err(|error| Failure::Bind { error, flag: "--listen" })?;
        let addr = listener.local_addr().map_err(Failure::Start)?;
        // After the bind, so that a failed bind logs its error alone.
        tell_memory(limited);
        announce(addr, &directory, &listeners)?;
        for (endpoint, listener, _) in listeners {
            tokio::spawn(async move { endpoint.listen(listener).await });
        }
        let front = Front::new(mounts.gateway, site, &directory);
        sockeye::serve(listener, front).with_graceful_shutdown(stop).await;
        Ok(())
    })
}

/// hyper dates its answers, and panics at each if the date is before 1970.
fn check_date(now: SystemTime) -> Result<(), Failure> {
    if now < UNIX_EPOCH { Err(Failure::Date) } else { Ok(()) }
}

/// Limits the memory of sessions, for all endpoints together. Returns the limit and its source.
fn limit_memory(chosen: Option<Size>) -> Option<(usize, String)> {
    let found = memory::least(Path::new("/"));
    let (limit, source) = match (chosen, found) {
        (Some(Size(bytes)), _) => (bytes, "--memory".to_owned()),
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
            "session memory is unlimited: this system doesn't report how much there is; set --memory"
        ),
    }
}

/// Resolves at a stop signal. From the call on, the signals no longer end the process by
/// themselves.
#[cfg(unix)]
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Resolves at a stop signal.
#[cfg(not(unix))]
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        if let Err(error) = tokio::signal::ctrl_c().await {
            tracing::warn!(%error, "Ctrl-C cannot be noticed");
            std::future::pending().await
        }
    })
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
            Self::Twice(_) | Self::Ice(_) | Self::Bind { .. } | Self::Date => ExitCode::from(USAGE),
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

fn listen_addr(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse().map_err(
        |_| "write an IP address and a port, for example 127.0.0.1:8080, 0.0.0.0:80 or [::1]:8080",
    )
}

fn seconds(text: &str) -> Result<Duration, &'static str> {
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds
        .filter(|seconds| !seconds.is_zero())
        .ok_or("write a number of seconds above 0, for example 25 or 2.5")
}

fn log_filter(text: &str) -> Result<Targets, String> {
    let advice = "in --log or RUST_LOG write off, error, warn, info, debug or trace, or such levels by module: info,sockeye=debug";
    text.parse().map_err(|error| format!("{error}: {advice}"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn args(arguments: &[&str]) -> ServeArgs {
        let cli = Cli::try_parse_from([&["sockeye"], arguments].concat()).expect("good arguments");
        match cli.command {
            Some(Command::Serve(args)) => *args,
            Some(Command::Bench(_)) => panic!("it serves"),
            None => cli.serve,
        }
    }

    fn served(arguments: &[&str]) -> Vec<String> {
        let endpoints = mounts::with_defaults(args(arguments).endpoints).expect("no prefix twice");
        endpoints
            .iter()
            .map(|endpoint| format!("{}={}", endpoint.prefix, endpoint.app.name()))
            .collect()
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn serve_is_the_default_command() {
        for arguments in [&["--listen", "[::1]:0"][..], &["serve", "--listen", "[::1]:0"]] {
            assert_eq!(args(arguments).listen, "[::1]:0".parse().expect("an address"));
        }
        assert_eq!(args(&[]).listen, "127.0.0.1:8080".parse().expect("an address"));
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

    #[test]
    fn delays_default_to_those_of_the_library() {
        let (args, config) = (args(&[]), EndpointConfig::default());
        assert_eq!(args.heartbeat_delay, config.heartbeat_delay);
        assert_eq!(args.disconnect_delay, config.disconnect_delay);
    }

    /// A board without a battery starts somewhere.
    #[test]
    fn a_clock_before_1970_is_told_and_not_served_with() {
        assert!(matches!(check_date(UNIX_EPOCH - Duration::from_secs(1)), Err(Failure::Date)));
        assert!(check_date(UNIX_EPOCH).is_ok());
    }

    #[test]
    fn seconds_are_positive_and_may_have_fractions() {
        assert_eq!(seconds("2.5"), Ok(Duration::from_millis(2500)));
        for text in ["0", "-1", "x", "", "NaN", "inf", "1e30"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
