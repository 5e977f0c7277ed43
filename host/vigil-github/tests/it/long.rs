//! How long a query may become: GitHub cuts off what asks for too much, so no query ever asks for that much by itself,
//! and where GitHub gives less, queries become shorter until they fit.

use vigil_github::adapt::BATCH_MAX;
use vigil_model::{DocumentLimits, Handle};

use crate::support::*;

/// Look-ups of each query so far, in the order in which they came.
fn lengths(server: &Handle) -> Vec<usize> {
    server.with(|model| {
        let log = model.tally().log.iter();
        log.filter(|asked| asked.lookups > 0)
            .map(|asked| asked.lookups)
            .collect()
    })
}

#[tokio::test]
async fn a_fleet_never_asks_for_more_at_once_than_github_answers() {
    for wants in [LEAN, ALL, EVERYTHING] {
        let (model, mut asks) = fleet(600, 20);
        for ask in &mut asks {
            ask.wants = wants;
        }
        let server = serve(model);
        let reply = ask(&client(&server), &asks).await;
        assert_eq!(kinds(&reply), ["found"]);
        let lengths = lengths(&server);
        // It does go to its own bound, so that the model's is really tried.
        assert_eq!(lengths.iter().max(), Some(&BATCH_MAX), "{lengths:?}");
        assert_eq!(server.with(|model| model.tally().over_long), 0);
    }
}

#[tokio::test]
async fn where_github_answers_less_queries_shrink_until_they_fit_and_all_is_learned() {
    // Some of what is over the bound is cut short, the rest takes too long.
    for (answered_max, lookups_max) in [(40, 250), (12, 250), (30, 30), (20, 60)] {
        let (mut model, asks) = fleet(300, 10);
        model.document_limits(DocumentLimits {
            answered_max,
            lookups_max,
        });
        let server = serve(model);
        let reply = ask(&client(&server), &asks).await;
        let bounds = (answered_max, lookups_max);
        assert_eq!(kinds(&reply), ["found"], "{bounds:?}");
        assert!(reply.trouble.is_none(), "{bounds:?}: {:?}", reply.trouble);
        let lengths = lengths(&server);
        let over = lengths.iter().filter(|length| **length > answered_max);
        let over = over.count();
        // The bound was met, and what was learned from that held: most queries are under it.
        assert!(over > 0, "{bounds:?}: {lengths:?}");
        assert!(over * 3 < lengths.len(), "{bounds:?}: {lengths:?}");
        assert!(
            lengths
                .iter()
                .all(|length| *length >= 1 && *length <= BATCH_MAX)
        );
    }
}
