//! Opening the WebSocket.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::error::UrlError;
use tokio_tungstenite::tungstenite::http::header::AUTHORIZATION;
use tokio_tungstenite::tungstenite::http::{HeaderValue, Request, Response};
use tokio_tungstenite::tungstenite::{Error, http::header::RETRY_AFTER};
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream, client_async_tls_with_config};

use super::Refused;
use crate::client::failure::Failure;
use crate::client::service::{Service, certificates};

/// How long it may take until the socket is open.
const OPEN_TIMEOUT: Duration = Duration::from_secs(30);

pub(super) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Opens a socket for a live run. The inner error is the service's answer that it does not want that now.
pub(super) async fn open(service: &Service) -> Result<Result<Socket, Refused>, Failure> {
    let request = request(service)?;
    let opening = async {
        let stream = connect(&request).await?;
        // Keys are small and wait for their echo.
        stream.set_nodelay(true)?;
        let connector = connector(&request)?;
        client_async_tls_with_config(request, stream, None, Some(connector)).await
    };
    let opened = timeout(OPEN_TIMEOUT, opening).await;
    let opened = opened.unwrap_or_else(|_| Err(Error::Io(io::ErrorKind::TimedOut.into())));
    match opened {
        Ok((socket, _)) => Ok(Ok(socket)),
        Err(Error::Http(answer)) => Ok(Err(refused(&answer))),
        Err(Error::Io(error)) => Err(Failure::Service(service.words(&error.into()))),
        Err(error) => {
            let (base, _) = service.target();
            let why = format!("no live run at {base}: {error}");
            Err(Failure::Service(why))
        }
    }
}

fn request(service: &Service) -> Result<Request<()>, Failure> {
    let (base, authorization) = service.target();
    // `http` becomes `ws`, and `https` `wss`.
    let rest = base.strip_prefix("http").unwrap_or(base);
    let wrong = |error: &dyn std::fmt::Display| Failure::usage(format!("--server: {error}"));
    let request = format!("ws{rest}/v1/runs/ws").into_client_request();
    let mut request = request.map_err(|e| wrong(&e))?;
    if let Some(authorization) = authorization {
        let mut value = HeaderValue::from_str(authorization).map_err(|e| wrong(&e))?;
        value.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, value);
    }
    Ok(request)
}

async fn connect(request: &Request<()>) -> Result<TcpStream, Error> {
    let uri = request.uri();
    let host = uri.host().ok_or(Error::Url(UrlError::NoHostName))?;
    // An address of IPv6 stands in brackets.
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let usual = if is_secure(request) { 443 } else { 80 };
    let port = uri.port_u16().unwrap_or(usual);
    Ok(TcpStream::connect((host, port)).await?)
}

fn is_secure(request: &Request<()>) -> bool {
    request.uri().scheme_str() == Some("wss")
}

/// Trusts as the system does.
fn connector(request: &Request<()>) -> Result<Connector, Error> {
    if !is_secure(request) {
        return Ok(Connector::Plain);
    }
    let mut roots = RootCertStore::empty();
    let trusted = certificates().map_err(|failure| io::Error::other(failure.lines().join("; ")))?;
    roots.add_parsable_certificates(trusted);
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Connector::Rustls(Arc::new(config)))
}

fn refused(answer: &Response<Option<Vec<u8>>>) -> Refused {
    let seconds = answer.headers().get(RETRY_AFTER);
    let seconds = seconds.and_then(|value| value.to_str().ok()?.trim().parse().ok());
    Refused {
        status: answer.status().as_u16(),
        body: answer.body().clone().unwrap_or_default(),
        retry_after: seconds.map(Duration::from_secs),
    }
}
