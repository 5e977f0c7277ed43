//! Pages of a list, and the `link` header to their neighbours.

use serde_json::Value;

use super::{Refused, invalid, parameter};
use crate::message::{Request, Response};

/// Records behind which GitHub refuses `page` and hands out cursors.
const PAGED_RECORDS_MAX: usize = 10_000;

/// One page of a list and the links to its neighbours.
pub(super) struct Page<T> {
    items: Vec<T>,
    /// Records on all pages together.
    pub(super) total: usize,
    link: String,
}

impl<T> Page<T> {
    /// Cuts the page that the request asks for. `base`: where its neighbours lie, without a query. `number`: what a
    /// cursor knows a record by.
    pub(super) fn of(
        base: String,
        request: &Request,
        items: Vec<T>,
        number: impl Fn(&T) -> u64,
    ) -> Result<Self, Refused> {
        // An unreadable size is the default, a large one the largest: GitHub refuses neither.
        let size = parameter(request, "per_page")
            .and_then(|size| size.parse::<usize>().ok())
            .filter(|size| *size > 0)
            .unwrap_or(30)
            .min(100);
        let page = parameter(request, "page")
            .and_then(|page| page.parse::<usize>().ok())
            .filter(|page| *page > 0)
            .unwrap_or(1);
        let total = items.len();
        let after = parameter(request, "after");
        let start = match &after {
            Some(cursor) => {
                let wanted = cursor
                    .strip_prefix("cursor-")
                    .and_then(|number| number.parse::<u64>().ok());
                let position = items.iter().position(|item| Some(number(item)) == wanted);
                match (wanted, position) {
                    (None, _) => return Err(invalid("Issue", "after", "invalid")),
                    (_, Some(position)) => position + 1,
                    // The record behind the cursor left the list: begin anew rather than skip anything.
                    (_, None) => 0,
                }
            }
            None if page.saturating_mul(size) > PAGED_RECORDS_MAX => {
                return Err(Response::refusal(
                    422,
                    "Pagination with the page parameter is not supported for large datasets, please use cursor based \
                     pagination (after/before)",
                ));
            }
            None => (page - 1) * size,
        };
        let items: Vec<T> = items.into_iter().skip(start).take(size).collect();
        let more = start + items.len() < total;
        let by_cursor = after.is_some() || total > PAGED_RECORDS_MAX;
        let mut links = Vec::new();
        let mut link = |key: &str, value: String, relation: &str| {
            let kept = request.query.split('&').filter(|pair| {
                let key = pair.split('=').next().unwrap_or_default();
                !pair.is_empty() && !matches!(key, "page" | "after")
            });
            let query = kept
                .map(str::to_owned)
                .chain([format!("{key}={value}")])
                .collect::<Vec<_>>()
                .join("&");
            links.push(format!("<{base}?{query}>; rel=\"{relation}\""));
        };
        if by_cursor {
            if let (true, Some(last)) = (more, items.last()) {
                link("after", format!("cursor-{}", number(last)), "next");
            }
        } else {
            if page > 1 {
                link("page", (page - 1).to_string(), "prev");
            }
            if more {
                link("page", (page + 1).to_string(), "next");
                link("page", total.div_ceil(size).to_string(), "last");
            }
            if page > 1 {
                link("page", "1".to_owned(), "first");
            }
        }
        Ok(Page {
            items,
            total,
            link: links.join(", "),
        })
    }

    /// The answer as a list of records.
    pub(super) fn answer(&self, shape: impl Fn(&T) -> Value) -> Response {
        self.answer_as(Value::Array, shape)
    }

    /// The answer with the list of records in an envelope.
    pub(super) fn answer_as(
        &self,
        envelope: impl FnOnce(Vec<Value>) -> Value,
        shape: impl Fn(&T) -> Value,
    ) -> Response {
        let response = Response::json(200, &envelope(self.items.iter().map(shape).collect()));
        if self.link.is_empty() {
            response
        } else {
            response.with("link", self.link.as_str())
        }
    }
}
