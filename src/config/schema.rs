//! What settings there are, asked of the types themselves.
//!
//! A type that implements `Deserialize` tells its deserializer which fields, variants and kinds of value it expects.
//! [`Schema::of`] is a deserializer that writes this down instead of giving values, so the rooms' settings need no
//! second description that could disagree with them.

use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeSeed, Expected, IntoDeserializer, Visitor, value::Error},
};

/// What a setting takes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Schema {
    /// Not asked yet.
    #[default]
    Unknown,
    /// These settings, and no others.
    Table(Vec<(&'static str, Schema)>),
    /// Any names, with values of one kind.
    Map(Box<Schema>),
    /// Any number of values of one kind.
    List(Box<Schema>),
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Text.
    Text,
    /// An integer.
    Whole,
    /// A floating-point number.
    Number,
    /// True or false.
    Flag,
    /// A number of bytes, as `bytesize` reads it.
    Size,
    /// A stretch of time, as `jiff` reads it.
    Duration,
    /// A type that tells nothing of what it takes.
    Any,
}

impl Schema {
    /// The schema of a type. Each round learns one leaf more: an error is the only way to leave a visitor without
    /// a value, and it ends the round.
    pub(super) fn of<T: for<'de> Deserialize<'de>>() -> Self {
        let mut schema = Self::Unknown;
        while !schema.is_known() {
            let before = schema.clone();
            let _ = T::deserialize(Probe(&mut schema));
            if schema == before {
                // The type asks for nothing, so there is nothing more to learn.
                break;
            }
        }
        schema
    }

    /// The settings of a table; none for anything else.
    pub(super) fn fields(&self) -> &[(&'static str, Schema)] {
        if let Self::Table(fields) = self { fields } else { &[] }
    }

    /// The schema of a setting of this table.
    pub(super) fn field(&self, name: &str) -> Option<&Schema> {
        self.fields().iter().find(|(field, _)| *field == name).map(|(_, schema)| schema)
    }

    /// Every setting below this one that is no table, by its dotted path; elements of lists are `[]`.
    pub(super) fn paths(&self, prefix: &str) -> Vec<String> {
        match self {
            Self::Table(fields) => {
                let dot = if prefix.is_empty() { "" } else { "." };
                fields.iter().flat_map(|(name, schema)| schema.paths(&format!("{prefix}{dot}{name}"))).collect()
            }
            Self::List(element) if matches!(**element, Self::Table(_)) => element.paths(&format!("{prefix}[]")),
            _ => vec![prefix.to_owned()],
        }
    }

    /// The dotted path of the first table that has a setting of this name; `path` is this one's own.
    pub(super) fn table_of(&self, name: &str, path: &str) -> Option<String> {
        if self.field(name).is_some() {
            return Some(path.to_owned());
        }
        if let Self::List(element) = self {
            return element.table_of(name, &format!("{path}[]"));
        }
        let dot = if path.is_empty() { "" } else { "." };
        self.fields().iter().find_map(|(field, schema)| schema.table_of(name, &format!("{path}{dot}{field}")))
    }

    fn is_known(&self) -> bool {
        match self {
            Self::Unknown => false,
            Self::Table(fields) => fields.iter().all(|(_, schema)| schema.is_known()),
            Self::Map(element) | Self::List(element) => element.is_known(),
            _ => true,
        }
    }
}

/// Writes down what it is asked for.
struct Probe<'a>(&'a mut Schema);

impl Probe<'_> {
    fn leaf<T>(self, schema: Schema) -> Result<T, Error> {
        *self.0 = schema;
        Err(learned())
    }
}

fn learned() -> Error {
    de::Error::custom("learned")
}

/// The kinds that take any value say what they mean in words, for their own messages.
fn kind_of(expected: &dyn Expected) -> Schema {
    match expected.to_string().as_str() {
        "an integer or string" => Schema::Size,
        "an unsigned duration string" => Schema::Duration,
        _ => Schema::Any,
    }
}

macro_rules! leaves {
    ($($method:ident => $schema:expr;)*) => {
        $(fn $method<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> { self.leaf($schema) })*
    };
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Error;

    leaves! {
        deserialize_bool => Schema::Flag;
        deserialize_i8 => Schema::Whole;
        deserialize_i16 => Schema::Whole;
        deserialize_i32 => Schema::Whole;
        deserialize_i64 => Schema::Whole;
        deserialize_i128 => Schema::Whole;
        deserialize_u8 => Schema::Whole;
        deserialize_u16 => Schema::Whole;
        deserialize_u32 => Schema::Whole;
        deserialize_u64 => Schema::Whole;
        deserialize_u128 => Schema::Whole;
        deserialize_f32 => Schema::Number;
        deserialize_f64 => Schema::Number;
        deserialize_char => Schema::Text;
        deserialize_bytes => Schema::Any;
        deserialize_byte_buf => Schema::Any;
        deserialize_unit => Schema::Any;
        deserialize_identifier => Schema::Text;
        deserialize_ignored_any => Schema::Any;
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.leaf(kind_of(&visitor))
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let kind = kind_of(&visitor);
        self.leaf(if kind == Schema::Any { Schema::Text } else { kind })
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, _: V) -> Result<V::Value, Error> {
        self.leaf(Schema::Any)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if !matches!(self.0, Schema::List(_)) {
            *self.0 = Schema::List(Box::default());
        }
        let Schema::List(element) = self.0 else { return Err(learned()) };
        visitor.visit_seq(Elements(element))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if !matches!(self.0, Schema::Map(_)) {
            *self.0 = Schema::Map(Box::default());
        }
        let Schema::Map(element) = self.0 else { return Err(learned()) };
        visitor.visit_map(Entry("any", element))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        if !matches!(self.0, Schema::Table(_)) {
            *self.0 = Schema::Table(fields.iter().map(|name| (*name, Schema::Unknown)).collect());
        }
        let Schema::Table(fields) = self.0 else { return Err(learned()) };
        let next = fields.iter_mut().find(|(_, schema)| !schema.is_known()).ok_or_else(learned)?;
        visitor.visit_map(Entry(next.0, &mut next.1))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Error> {
        self.leaf(Schema::Choice(variants))
    }
}

/// A list with one element.
struct Elements<'a>(&'a mut Schema);

impl<'de> de::SeqAccess<'de> for Elements<'_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        seed.deserialize(Probe(self.0)).map(Some)
    }
}

/// A table with one entry, of this name.
struct Entry<'a>(&'static str, &'a mut Schema);

impl<'de> de::MapAccess<'de> for Entry<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        seed.deserialize(IntoDeserializer::<Error>::into_deserializer(self.0)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        seed.deserialize(Probe(self.1))
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Config, Schema};

    #[test]
    fn the_types_tell_their_names_and_kinds() {
        let schema = Schema::of::<Config>();
        let agent = schema.field("agent").expect("a table");
        assert_eq!(agent.field("in_flight_bytes_max"), Some(&Schema::Size));
        assert_eq!(agent.field("drain_timeout"), Some(&Schema::Duration));
        assert_eq!(agent.field("io"), Some(&Schema::Choice(&["auto", "uring", "pread"])));
        assert_eq!(agent.field("lanes"), Some(&Schema::Whole));
        let kafka = schema.field("kafka").expect("a table");
        assert_eq!(kafka.field("settings"), Some(&Schema::Map(Box::new(Schema::Text))));
        let paths = schema.paths("");
        for path in ["data_dir", "agent.batch.age_max", "agent.tasks[].paths", "elasticsearch.urls"] {
            assert!(paths.iter().any(|known| known == path), "{path} is not in {paths:?}");
        }
    }

    #[test]
    fn no_setting_has_a_kind_that_can_not_be_told() {
        fn walk(path: &str, schema: &Schema) {
            assert!(!matches!(schema, Schema::Any | Schema::Unknown), "{path}");
            schema.fields().iter().for_each(|(name, schema)| walk(&format!("{path}.{name}"), schema));
        }
        walk("", &Schema::of::<Config>());
    }
}
