//! Asks the guard before any service sees a call.
//!
//! Guarantees: a service behind it is called only where the guard let the call pass, with the [`Caller`] in the extensions; a token that was
//! for this sidecar goes no further. A decision turned away for its rate is counted in a gap entry, as one that found no place is (INV-10).

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use ledgerstone::code::Code;
use tonic::service::Routes;
use tower::{Layer, Service};

use super::guard::{Guard, Reason, Refusal};
use super::table::{GRPC, Port};
use crate::api::{CODE, recorder_http};
use crate::intercept::Session;

/// Puts the guard in front of the services of one port; without a guard it does nothing.
#[derive(Clone)]
pub struct AccessLayer {
    guard: Option<Arc<Guard>>,
    port: Port,
    /// Counts decisions that are turned away.
    session: Option<Arc<Session>>,
}

impl AccessLayer {
    /// Has `guard` asked about every call on `port`.
    #[must_use]
    pub const fn new(guard: Option<Arc<Guard>>, port: Port) -> Self {
        Self { guard, port, session: None }
    }

    /// The same, where decisions are made in `session`.
    #[must_use]
    pub fn counting(self, session: Arc<Session>) -> Self {
        Self { session: Some(session), ..self }
    }

    /// Whether there is a guard.
    #[must_use]
    pub const fn is_guarded(&self) -> bool {
        self.guard.is_some()
    }

    /// `router` behind the guard.
    pub fn http(self, router: Router) -> Router {
        if self.guard.is_some() { router.layer(self) } else { router }
    }

    /// gRPC services behind the guard.
    pub fn grpc(self, routes: Routes) -> Routes {
        if self.guard.is_some() { Routes::from(self.http(routes.into_axum_router())) } else { routes }
    }

    /// The answer to a call that may not be made; none where it may.
    fn refused(&self, request: &mut Request) -> Option<Response<Body>> {
        let guard = self.guard.as_ref()?;
        let is_grpc = is_grpc(request.headers());
        let method = if is_grpc { GRPC } else { request.method().as_str() };
        let checked =
            guard.check(self.port, (method, request.uri().path()), request.extensions(), request.headers());
        match checked {
            Ok(caller) => {
                if guard.oidc().is_some() && is_bearer(request.headers()) {
                    request.headers_mut().remove(AUTHORIZATION);
                }
                request.extensions_mut().insert(caller);
                None
            }
            Err(refusal) => {
                if let Some(session) = self.session.as_ref().filter(|_| refusal.is_decision) {
                    session.turn_away();
                }
                tracing::debug!(
                    port = self.port.key(),
                    reason = refusal.reason.as_str(),
                    "a call was refused"
                );
                Some(if is_grpc { grpc(&refusal) } else { http(&refusal) })
            }
        }
    }
}

impl std::fmt::Debug for AccessLayer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessLayer").field("port", &self.port).finish_non_exhaustive()
    }
}

impl<S> Layer<S> for AccessLayer {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded { layer: self.clone(), inner }
    }
}

/// A service behind the guard.
#[derive(Clone, Debug)]
pub struct Guarded<S> {
    layer: AccessLayer,
    inner: S,
}

impl<S> Service<Request> for Guarded<S>
where
    S: Service<Request, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        match self.layer.refused(&mut request) {
            None => Box::pin(self.inner.call(request)),
            Some(refused) => Box::pin(std::future::ready(Ok(refused))),
        }
    }
}

fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

fn is_bearer(headers: &HeaderMap) -> bool {
    let mut schemes = headers.get_all(AUTHORIZATION).iter().filter_map(|field| field.as_bytes().get(..7));
    schemes.any(|scheme| scheme.eq_ignore_ascii_case(b"bearer "))
}

fn grpc(refusal: &Refusal) -> Response<Body> {
    let code = match refusal.reason {
        Reason::NoRow | Reason::Role => tonic::Code::PermissionDenied,
        Reason::Nobody | Reason::Token => tonic::Code::Unauthenticated,
        Reason::NoKeys => tonic::Code::Unavailable,
        Reason::Rate => tonic::Code::ResourceExhausted,
    };
    let status = tonic::Status::new(code, refusal.message());
    with_headers(status.into_http(), refusal)
}

fn http(refusal: &Refusal) -> Response<Body> {
    let status = match refusal.reason {
        Reason::NoRow | Reason::Role => StatusCode::FORBIDDEN,
        Reason::Nobody | Reason::Token => StatusCode::UNAUTHORIZED,
        Reason::NoKeys => StatusCode::SERVICE_UNAVAILABLE,
        Reason::Rate => StatusCode::TOO_MANY_REQUESTS,
    };
    let mut response = recorder_http::refused(status, refusal.code(), &refusal.message());
    if status == StatusCode::UNAUTHORIZED {
        // RFC 6750, section 3.
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    with_headers(response, refusal)
}

fn with_headers(mut response: Response<Body>, refusal: &Refusal) -> Response<Body> {
    let code: Code = refusal.code();
    let headers = response.headers_mut();
    headers.insert(CODE, HeaderValue::from_static(code.as_str()));
    if let Some(wait) = refusal.wait {
        // Whole seconds (RFC 9110, section 10.2.3): rounded up, so that the next call is not too early.
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    }
    response
}
