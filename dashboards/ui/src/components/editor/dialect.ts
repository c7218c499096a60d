/** The words of DataFusion's SQL, for colours and completion. Column names people use (`value`, `instance`) are no keywords. */

import { SQLDialect } from "@codemirror/lang-sql";

const KEYWORDS =
  "all analyze and any as asc at between by case cast cross current_date current_time current_timestamp cube desc describe distinct else end escape " +
  "except exclude exists explain extract false filter first following from full group grouping having ilike in inner intersect interval is join " +
  "last lateral left like limit natural not null nulls offset on or order outer over partition preceding qualify range recursive replace right " +
  "rollup row rows select sets show similar some tables then ties to true try_cast unbounded union unnest using values verbose when where window with within zone";

const TYPES =
  "bigint boolean bytea char date decimal double float int integer numeric precision real smallint string text time timestamp timestamptz tinyint unsigned varchar";

export const dialect = SQLDialect.define({ keywords: KEYWORDS, types: TYPES, doubleQuotedStrings: false, identifierQuotes: '"', operatorChars: "*+-%<>!=&|~^/", charSetCasts: false });
