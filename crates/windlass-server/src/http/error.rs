//! What went wrong, as HTTP says it.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::WWW_AUTHENTICATE;
use http::{HeaderValue, StatusCode};
use windlass_wire::connection::Fault;

use crate::app::AppError;

/// An error of a use case, on its way out.
pub(super) struct Error(pub(super) AppError);

impl From<AppError> for Error {
    fn from(error: AppError) -> Self {
        Self(error)
    }
}

/// Why a call could not be answered, for the log.
#[derive(Clone)]
pub(super) struct Unanswered(pub(super) String);

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status = match &self.0 {
            AppError::Malformed(_) => StatusCode::BAD_REQUEST,
            AppError::TooLong(_) => StatusCode::PAYLOAD_TOO_LARGE,
            AppError::Unauthenticated(_) => StatusCode::UNAUTHORIZED,
            AppError::Forbidden(_) => StatusCode::FORBIDDEN,
            AppError::NotFound(_) => StatusCode::NOT_FOUND,
            AppError::Conflict(_) => StatusCode::UNPROCESSABLE_ENTITY,
            AppError::Superseded(_) => StatusCode::CONFLICT,
            AppError::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        let fault = Fault {
            error: self.0.to_string(),
        };
        let mut response = (status, Json(fault)).into_response();
        match self.0 {
            AppError::Unauthenticated(_) => {
                let wanted =
                    HeaderValue::from_static("Basic realm=\"windlass\", charset=\"UTF-8\"");
                response.headers_mut().insert(WWW_AUTHENTICATE, wanted);
            }
            AppError::Unavailable(why) => {
                response.extensions_mut().insert(Unanswered(why));
            }
            _ => {}
        }
        response
    }
}
