//! What others may take of this machine: bytes, room, time and connections.

use super::*;

#[tokio::test]
async fn a_huge_delivery_is_refused_with_and_without_a_length() {
    let stage = Stage::with(small()).await;
    let body = vec![b' '; 1001];
    let huge = Delivery {
        body: &body,
        ..Delivery::default()
    };
    assert_eq!(stage.post(&huge).await, 413);
    assert_eq!(stage.send(&huge.chunked(100)).await, 413);
    assert_eq!(stage.counts().too_large, 2);
    // At the bound it is read.
    let mut body = BODY.as_bytes().to_vec();
    body.resize(1000, b' ');
    let large = Delivery {
        body: &body,
        ..Delivery::default()
    };
    assert_eq!(stage.send(&large.chunked(7)).await, 202);
}

#[tokio::test]
async fn bodies_together_are_bounded_and_give_their_room_back() {
    let stage = Stage::with(Limits {
        held_bytes_max: 2 * 1024,
        ..Limits::default()
    })
    .await;
    let body = vec![b' '; 2 * 1024 + 1];
    let large = Delivery {
        body: &body,
        ..Delivery::default()
    };
    for _ in 0..3 {
        assert_eq!(stage.post(&large).await, 503);
    }
    assert_eq!(stage.counts().no_room, 3);
    for id in ["a", "b", "c"] {
        let delivery = Delivery {
            id,
            ..Delivery::default()
        };
        assert_eq!(stage.post(&delivery).await, 202);
    }
}

#[tokio::test]
async fn a_body_that_does_not_end_is_cut_off() {
    let stage = Stage::with(Limits {
        body_deadline: Duration::from_millis(50),
        ..Limits::default()
    })
    .await;
    let request = Delivery::default().request();
    let mut stream = stage.connect().await;
    let most = &request[..request.len() - 10];
    stream.write_all(most).await.expect("it is taken");
    assert_eq!(status(&mut stream).await, 408);
    assert_eq!(stage.counts().broken_off, 1);
    assert_eq!(stage.inbox.take(), []);
}

#[tokio::test]
async fn a_head_that_does_not_end_is_cut_off() {
    let stage = Stage::with(Limits {
        head_deadline: Duration::from_millis(50),
        ..Limits::default()
    })
    .await;
    for begun in ["", "POST /webhooks/github HTTP/1.1\r\nHost: 127"] {
        let mut stream = stage.connect().await;
        stream
            .write_all(begun.as_bytes())
            .await
            .expect("it is taken");
        let mut answer = Vec::new();
        // It ends, in order or not; otherwise this test would not.
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.is_empty() || answer.contains(" 408 "), "{answer}");
    }
}

#[tokio::test]
async fn a_sender_that_goes_away_is_counted() {
    let stage = Stage::new().await;
    let request = Delivery::default().request();
    let mut stream = stage.connect().await;
    let half = &request[..request.len() - 10];
    stream.write_all(half).await.expect("it is taken");
    stream.shutdown().await.expect("an end");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert_eq!(stage.counts().broken_off, 1);
    assert_eq!(stage.inbox.take(), []);
}

#[tokio::test]
async fn a_delivery_takes_the_place_of_one_that_only_sits_there() {
    let stage = Stage::with(Limits {
        connections_max: 1,
        connections_per_address_max: 1,
        ..Limits::default()
    })
    .await;
    let mut idle = stage.connect().await;
    idle.write_all(b"POST /webhooks")
        .await
        .expect("it is taken");
    assert_eq!(stage.post(&Delivery::default()).await, 202);
    let mut answer = Vec::new();
    // It ends, in order or not; otherwise this test would not.
    let _ = idle.read_to_end(&mut answer).await;
    assert!(answer.is_empty());
    let counts = Counts {
        received: 1,
        wakes: 1,
        shed: 1,
        ..Counts::default()
    };
    assert_eq!(stage.counts(), counts);
}

#[tokio::test]
async fn a_delivery_gets_in_beside_a_thousand_idle_connections() {
    let stage = Stage::new().await;
    let mut idle = Vec::new();
    for _ in 0..1_000 {
        idle.push(stage.connect().await);
    }
    for (id, number) in [("a", 7), ("b", 8)] {
        let body = BODY.replace("7", &number.to_string());
        let delivery = Delivery {
            id,
            body: body.as_bytes(),
            ..Delivery::default()
        };
        assert_eq!(stage.post(&delivery).await, 202);
    }
    assert_eq!(stage.taken(), [7, 8]);
    let most = Limits::default().connections_per_address_max as u64;
    assert!(stage.counts().shed >= 1_000 - most, "{:?}", stage.counts());
    drop(idle);
}

#[tokio::test]
async fn deliveries_get_in_beside_slow_senders_that_come_back() {
    let stage = Stage::new().await;
    let address = stage.listening.address();
    let mut senders = JoinSet::new();
    for _ in 0..300 {
        senders.spawn(async move {
            // Each sends the head and a part of the body, waits until it is ended, and comes again.
            let request = Delivery::default().request();
            let most = &request[..request.len() - 10];
            loop {
                let Ok(mut stream) = TcpStream::connect(address).await else {
                    continue;
                };
                let _ = stream.write_all(most).await;
                let _ = stream.read(&mut [0; 64]).await;
            }
        });
    }
    for id in ["a", "b", "c", "d", "e"] {
        let delivery = Delivery {
            id,
            ..Delivery::default()
        };
        assert_eq!(stage.post(&delivery).await, 202);
    }
    senders.shutdown().await;
    assert_eq!(stage.taken(), [7]);
}
