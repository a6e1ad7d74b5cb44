"""What Django's models cannot say: the fence sequence, the composite foreign key that keeps a result on its own
film, and the triggers that keep predictions and signed reports as they were written."""

from django.db import migrations

FORWARD = """
CREATE SEQUENCE diagnosis_job_fence;
ALTER TABLE diagnosis_prediction ADD CONSTRAINT prediction_is_of_this_film
    FOREIGN KEY (radiograph_id, image_sha256) REFERENCES diagnosis_radiograph (id, sha256);
CREATE TRIGGER prediction_write_once BEFORE UPDATE OR DELETE ON diagnosis_prediction
    FOR EACH ROW EXECUTE FUNCTION cxr_refuse_change();
CREATE TRIGGER finding_write_once BEFORE UPDATE OR DELETE ON diagnosis_finding
    FOR EACH ROW EXECUTE FUNCTION cxr_refuse_change();
CREATE TRIGGER report_signed_is_final BEFORE UPDATE OR DELETE ON diagnosis_report
    FOR EACH ROW WHEN (OLD.status IN ('final', 'amended')) EXECUTE FUNCTION cxr_refuse_change();
"""
BACKWARD = """
DROP TRIGGER report_signed_is_final ON diagnosis_report;
DROP TRIGGER finding_write_once ON diagnosis_finding;
DROP TRIGGER prediction_write_once ON diagnosis_prediction;
ALTER TABLE diagnosis_prediction DROP CONSTRAINT prediction_is_of_this_film;
DROP SEQUENCE diagnosis_job_fence;
"""


class Migration(migrations.Migration):
    dependencies = [("diagnosis", "0002_initial"), ("patients", "0002_audit_append_only")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
