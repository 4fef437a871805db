//! A rough way to a server: answers come late, in pieces, and break off in the middle.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::JoinHandle,
};

use super::Dice;

/// A port that leads to a server, roughly; gone when it is dropped.
pub struct RoughWay {
    /// Where to go in.
    pub endpoint: String,
    /// How many connections broke off.
    cut: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

impl RoughWay {
    /// A way to `server`, whose connections break off after 200 to `bytes_max` bytes of answers.
    pub async fn to(server: &str, bytes_max: u64, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let endpoint = listener.local_addr().expect("it has one").to_string();
        let server: SocketAddr = server.parse().expect("an address");
        let (cut, mut dice) = (Arc::<AtomicUsize>::default(), Dice::new(seed));
        let counter = Arc::clone(&cut);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(server).await else { continue };
                let (dice, counter) = (Dice::new(dice.roll()), Arc::clone(&counter));
                tokio::spawn(lead(client, server, bytes_max, dice, counter));
            }
        });
        Self { endpoint, cut, accepting }
    }

    /// How many connections broke off.
    pub fn cut(&self) -> usize {
        self.cut.load(Relaxed)
    }
}

impl Drop for RoughWay {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn lead(client: TcpStream, server: TcpStream, bytes_max: u64, mut dice: Dice, cut: Arc<AtomicUsize>) {
    let ((mut from_client, to_client), (from_server, mut to_server)) = (client.into_split(), server.into_split());
    let asking = tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
    let allowed = dice.within(200..bytes_max);
    if answer(from_server, to_client, allowed, dice).await {
        cut.fetch_add(1, Relaxed);
    }
    // Both ends see the connection break.
    asking.abort();
}

/// Passes answers on, a few bytes at a time; whether so many were passed that the connection is to break off.
async fn answer(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, allowed: u64, mut dice: Dice) -> bool {
    let (mut buffer, mut passed) = (vec![0; 4096], 0);
    while passed < allowed {
        let most = dice.within(1..4096).min(allowed - passed) as usize;
        let Ok(read @ 1..) = from.read(&mut buffer[..most]).await else { return false };
        tokio::time::sleep(Duration::from_millis(dice.within(0..8))).await;
        if to.write_all(&buffer[..read]).await.is_err() {
            return false;
        }
        passed += read as u64;
    }
    true
}
