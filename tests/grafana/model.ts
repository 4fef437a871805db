// The JSON of a dashboard as Grafana's own types describe it, with the options of the kinds of panels that are used here.
// `make-schema` turns it into schema.json.
import * as board from '@grafana/schema/dist/types/raw/dashboard/x/types.gen';
import * as timeseries from '@grafana/schema/dist/types/raw/composable/timeseries/panelcfg/x/types.gen';
import * as stat from '@grafana/schema/dist/types/raw/composable/stat/panelcfg/x/types.gen';
import * as table from '@grafana/schema/dist/types/raw/composable/table/panelcfg/x/types.gen';
import * as heatmap from '@grafana/schema/dist/types/raw/composable/heatmap/panelcfg/x/types.gen';
import * as bargauge from '@grafana/schema/dist/types/raw/composable/bargauge/panelcfg/x/types.gen';

// Of queries, data links and annotations from queries Grafana's types say nothing; these are the fields that it writes.
interface Query {
  refId: string;
  expr: string;
  datasource: board.DataSourceRef;
  editorMode: 'code';
  legendFormat?: string;
  format: 'time_series' | 'table' | 'heatmap';
  range: boolean;
  instant: boolean;
}

interface DataLink {
  title: string;
  url: string;
}

interface Annotation extends Omit<board.AnnotationQuery, 'target'> {
  expr: string;
  step: string;
  titleFormat: string;
  textFormat: string;
  tagKeys: string;
}

interface Fields<Custom> {
  defaults: Omit<board.FieldConfig, 'custom' | 'links'> & { custom?: Custom; links?: DataLink[] };
  overrides: board.FieldConfigSource['overrides'];
}

interface Panel<Type, Options, Custom> extends Omit<board.Panel, 'type' | 'options' | 'fieldConfig' | 'targets'> {
  type: Type;
  options: Options;
  fieldConfig: Fields<Custom>;
  targets: Query[];
}

type AnyPanel =
  | Panel<'timeseries', timeseries.Options, timeseries.FieldConfig>
  | Panel<'stat', stat.Options, {}>
  | Panel<'table', table.Options, table.FieldConfig>
  | Panel<'heatmap', heatmap.Options, heatmap.FieldConfig>
  | Panel<'bargauge', bargauge.Options, {}>;

export interface Dashboard extends Omit<board.Dashboard, 'panels' | 'annotations'> {
  annotations: { list: Annotation[] };
  panels: Array<board.RowPanel | AnyPanel>;
}
