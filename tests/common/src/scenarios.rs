//! One list of scenarios, and all of them on every transport.

use std::future::Future;
use std::time::Duration;

/// Makes a test of each scenario on each transport: `xhr::handlers::a_handler_panics`, say. Each is
/// an `async fn` of a [`Transport`](super::transport::Transport) in the module of that name beside
/// the call of this macro.
#[macro_export]
macro_rules! on_every_transport {
    ($($module:ident: { $($scenario:ident),* $(,)? })*) => {
        $crate::on_every_transport!(@ websocket WebSocket $($module: $($scenario)*,)*);
        $crate::on_every_transport!(@ raw_websocket RawWebSocket $($module: $($scenario)*,)*);
        $crate::on_every_transport!(@ bare_websocket BareWebSocket $($module: $($scenario)*,)*);
        $crate::on_every_transport!(@ xhr Xhr $($module: $($scenario)*,)*);
        $crate::on_every_transport!(@ xhr_streaming XhrStreaming $($module: $($scenario)*,)*);
        $crate::on_every_transport!(@ eventsource EventSource $($module: $($scenario)*,)*);
        $crate::on_every_transport!(@ htmlfile HtmlFile $($module: $($scenario)*,)*);
        $crate::on_every_transport!(@ jsonp Jsonp $($module: $($scenario)*,)*);
    };
    (@ $name:ident $transport:ident $($module:ident: $($scenario:ident)*,)*) => {
        mod $name {
            $(mod $module {
                $(#[tokio::test]
                async fn $scenario() {
                    let scenario = super::super::$module::$scenario($crate::transport::Transport::$transport);
                    $crate::scenarios::play(scenario).await;
                })*
            })*
        }
    };
}

pub use crate::on_every_transport;

/// No scenario waits for ever, whatever is wrong.
pub async fn play(scenario: impl Future<Output = ()>) {
    const LONG: Duration = Duration::from_secs(120);
    tokio::time::timeout(LONG, scenario).await.expect("the scenario comes to its end");
}
