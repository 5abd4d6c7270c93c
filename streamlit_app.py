"""The web page, as the original began it.

streamlit run streamlit_app.py --server.port 8501
streamlit run streamlit_app.py -- --endpoint http://localhost:8000/v1
"""

from kangaroo.serving.page.app import main

main()
