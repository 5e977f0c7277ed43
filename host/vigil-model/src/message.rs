//! Questions and answers, before there is a socket.

use serde_json::Value;

/// One HTTP request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `POST`, ...; compared to the letter.
    pub method: String,
    /// Without the query, percent-encoded as it was sent, for example `/repos/owner/repo`.
    pub path: String,
    /// Behind the question mark, without it; empty when there is none.
    pub query: String,
    /// Names in any case.
    pub headers: Vec<(String, String)>,
    /// As it was sent.
    pub body: Vec<u8>,
}

impl Request {
    /// A GET of `target`, which may carry a query, with a user agent and `token`.
    pub fn get(target: &str, token: &str) -> Self {
        Request::new("GET", target, token, Vec::new())
    }

    /// A request with a JSON body, a user agent and `token`.
    pub fn send(method: &str, target: &str, token: &str, body: &Value) -> Self {
        Request::new(method, target, token, body.to_string().into_bytes())
            .header("content-type", "application/json")
    }

    /// A GraphQL request of `document` with `variables`, an object or null.
    pub fn graphql(document: &str, variables: Value, token: &str) -> Self {
        let body = serde_json::json!({ "query": document, "variables": variables });
        Request::send("POST", "/graphql", token, &body)
    }

    /// The same request with one more header, in place of an earlier one of that name.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self = self.without(name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same request without a header.
    pub fn without(mut self, name: &str) -> Self {
        self.headers
            .retain(|(present, _)| !present.eq_ignore_ascii_case(name));
        self
    }

    fn new(method: &str, target: &str, token: &str, body: Vec<u8>) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Request {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            headers: vec![
                ("user-agent".to_owned(), "vigil-model".to_owned()),
                ("authorization".to_owned(), format!("Bearer {token}")),
            ],
            body,
        }
    }

    /// The value of the first header of that name.
    pub(crate) fn get_header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(present, _)| present.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

/// One HTTP answer, and how it reaches the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// Names in lower case. `content-length` is not among them: the shell writes it.
    pub headers: Vec<(&'static str, String)>,
    /// Empty on a 304.
    pub body: Vec<u8>,
    /// What happens on the way. An in-process caller has to honour it, too.
    pub delivery: Delivery,
}

/// How an answer reaches the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// As it is, at once.
    #[default]
    Whole,
    /// As it is, after so many milliseconds.
    After {
        /// Milliseconds.
        delay_ms: u64,
    },
    /// Never: the connection stays open and silent.
    Never,
    /// The head promises the whole body, and the connection ends after so many bytes of it.
    Cut {
        /// Bytes of the body that arrive.
        bytes: usize,
    },
    /// The connection is reset before a byte of the answer.
    Reset,
}

impl Response {
    /// A JSON answer.
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Response {
            status,
            headers: vec![("content-type", "application/json; charset=utf-8".to_owned())],
            body: body.to_string().into_bytes(),
            delivery: Delivery::Whole,
        }
    }

    /// GitHub's shape of a refusal: a message, a link, the status as a string.
    pub(crate) fn refusal(status: u16, message: &str) -> Self {
        Response::json(
            status,
            &serde_json::json!({
                "message": message,
                "documentation_url": "https://docs.github.com/rest",
                "status": status.to_string(),
            }),
        )
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.set(name, value);
        self
    }

    pub(crate) fn set(&mut self, name: &'static str, value: impl Into<String>) {
        self.headers.retain(|(present, _)| *present != name);
        self.headers.push((name, value.into()));
    }

    /// The value of a header; the name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(present, _)| *present == name)
            .map(|(_, value)| value.as_str())
    }

    /// The body as JSON; null when it is none.
    pub fn value(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}
