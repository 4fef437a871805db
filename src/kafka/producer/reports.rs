//! What librdkafka calls back: reports of records, its own log, its errors and its statistics.

use std::{error::Error, sync::Arc};

use rdkafka::{
    ClientContext, Statistics,
    client::OAuthToken,
    config::RDKafkaLogLevel,
    producer::{BaseProducer, DeliveryResult, ProducerContext},
    types::RDKafkaErrorCode as Code,
};

use super::{
    desk::Desk,
    under_way::{Produced, UnderWay},
};
use crate::{
    kafka::{KafkaError, greeting::Greeting, token::Tokens, vitals, voice},
    metrics::{self, list},
};

pub(super) type Client<T> = BaseProducer<Context<T>>;

/// What the callbacks know.
pub(super) struct Context<T> {
    pub(super) desk: Arc<Desk<T>>,
    pub(super) access: Access,
}

/// How brokers are met, for each client anew.
#[derive(Clone, Debug)]
pub(super) struct Access {
    pub(super) tokens: Tokens,
    pub(super) greeting: Greeting,
}

impl<T: Send + Sync + 'static> ProducerContext for Context<T> {
    type DeliveryOpaque = Arc<UnderWay<T>>;

    fn delivery(&self, report: &DeliveryResult<'_>, under_way: Arc<UnderWay<T>>) {
        let desk = &self.desk;
        let is_one = under_way.outgoing.pieces.is_none();
        if !is_one {
            under_way.note(report);
        }
        // Reports of pieces are counted by their references, and the last one closes.
        let Some(under_way) = Arc::into_inner(under_way) else { return };
        let (number, first_of, meters) = (under_way.number, under_way.first_of, Arc::clone(&under_way.meters));
        let topic = Arc::clone(&under_way.outgoing.topic);
        let produced = if is_one { desk.close_one(under_way, report) } else { desk.close(under_way) };
        let answer = match produced {
            Produced::UnderWay => None,
            Produced::Answered(answer) => {
                desk.note_success(&topic);
                Some(answer)
            }
            Produced::Back(code, outgoing) => desk.refuse(&mut desk.held(), code, number, outgoing),
        };
        if let Some(partition) = first_of {
            // After what came back is lined up, which belongs in front of what waited.
            desk.note_first(&topic, partition, report);
        }
        if let Some(answer) = answer {
            desk.answer(&meters, answer);
        }
    }
}

impl<T: Send + Sync + 'static> ClientContext for Context<T> {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        self.access.tokens.read()
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        voice::log("producer", level, facility, message);
        if let Some(error) = self.access.greeting.refused(facility, message) {
            self.desk.note_trouble(error);
        }
    }

    fn error(&self, error: rdkafka::error::KafkaError, reason: &str) {
        // "All brokers are down" follows each reason and is none itself.
        if error.rdkafka_error_code() == Some(Code::AllBrokersDown) && self.desk.trouble.borrow().is_some() {
            return;
        }
        let error = KafkaError::of_client(error.rdkafka_error_code(), reason, &self.desk.servers, None);
        // A fatal error is met, and told, where the client is rebuilt.
        if !matches!(error, KafkaError::Fatal { .. }) {
            metrics::counter(&list::ERRORS, &["kafka", error.kind()]).increment(1);
            self.desk.note_trouble(error);
        }
    }

    fn stats(&self, statistics: Statistics) {
        self.desk.vitals.show(&statistics);
        // Where nothing is sent, nothing else tells that the brokers are back.
        if self.desk.is_idle() && vitals::is_any_up(&statistics) {
            self.desk.note_well();
        }
    }
}
